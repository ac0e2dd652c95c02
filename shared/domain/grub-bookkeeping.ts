/**
 * Variables of GRUB's environment block that GRUB's own scripts and the distributions' services write at
 * starts. None of them names an entry for the next start.
 *
 * - Fedora's and RHEL's patches of GRUB: `10_reset_boot_success` writes `boot_success` and
 *   `boot_indeterminate` at each start, `08_fallback_counting` counts `boot_counter` down,
 *   `12_menu_auto_hide` and `14_menu_show_once` remove theirs. `grub2-set-bootflag` and greenboot set them:
 *   https://src.fedoraproject.org/rpms/grub2
 * - Ubuntu's and Debian's: `00_header` writes `recordfail`, `initrdfail` and `prev_entry`;
 *   `grub-common.service` and `grub-initrd-fallback.service` remove them.
 * - openSUSE's health-checker: https://github.com/openSUSE/health-checker
 */
const BOOKKEEPING = new Set([
  ...["boot_success", "boot_indeterminate", "boot_counter", "menu_show_once", "menu_show_once_timeout"],
  ...["recordfail", "initrdfail", "initrdless_boot_fallback_triggered", "prev_entry"],
  "health_checker_flag",
]);

export function isGrubBookkeeping(variable: string): boolean {
  return BOOKKEEPING.has(variable);
}

/**
 * Whether a service of the running system may have given the variable this value, and a start is no other for
 * it: it says that the system has come up.
 */
export function saysSystemIsUp(variable: string, value: string | undefined): boolean {
  if (variable === "boot_success") return value === "1";
  if (variable === "boot_indeterminate") return value === "0" || value === "1";
  return ["recordfail", "initrdfail"].includes(variable) && (value ?? "") === "";
}
