/**
 * For tests: configurations of GRUB, and what it does with them while no key is pressed. Each entry prints
 * its name when it is started, so that a real GRUB can be observed.
 */
import { entry } from "./grub-config.ts";

export interface GrubCase {
  name: string;
  /** Below GRUB's folder. */
  files: Readonly<Record<string, string>>;
  environment?: Readonly<Record<string, string>>;
  /** The entry that GRUB starts; `undefined` if it waits. */
  starts: string | undefined;
  /** The expected judgement; by default `attended` if GRUB waits, otherwise `unattended`. */
  verdict?: "unknown" | "attended";
}

const A = entry("a");
const B = entry("b");
const OPEN = entry("a", "--unrestricted");
const USERS = "set superusers=root\nexport superusers\npassword root secret\n";
const RED_HAT_USERS =
  'if [ -f $prefix/user.cfg ]; then\n  source $prefix/user.cfg\n  if [ -n "$GRUB2_PASSWORD" ]; then\n    set superusers="root"\n    export superusers\n    password root secret\n  fi\nfi\n';
const READS_ENVIRONMENT = "if [ -s $prefix/grubenv ]; then\n  load_env\nfi\n";
const ONCE =
  'if [ "$next_entry" ]; then\n  set default="$next_entry"\n  set next_entry=\n  save_env next_entry\nelse\n  set default="$saved_entry"\nfi\n';
const RECORD_FAIL =
  'function recordfail {\n  set recordfail=1\n  save_env recordfail\n}\nif [ "$recordfail" = 1 ]; then\n  set timeout=-1\nelse\n  set timeout=1\nfi\n';
const HIDES =
  'set timeout=1\nif [ "$boot_success" = "1" -o "$boot_indeterminate" = "1" ]; then\n  set last_boot_ok=1\nelse\n  set last_boot_ok=0\nfi\nset boot_success=0\nsave_env boot_success\nif [ "$menu_auto_hide" -a "$last_boot_ok" = "1" ]; then\n  set timeout_style=hidden\n  set timeout=1\nfi\n';

const timed = (text: string) => ({ "grub.cfg": `set timeout=1\n${text}` });

export const GRUB_CASES: readonly GrubCase[] = [
  { name: "a second's menu", files: timed(A), starts: "a" },
  {
    name: "a question whether the firmware has a setup, as GRUB 2.12 asks it",
    files: timed(`${A}fwsetup --is-supported\nif [ "$?" = 0 ]; then\n${B}fi\n`),
    starts: "a",
  },
  { name: "a menu of no time", files: { "grub.cfg": `set timeout=0\n${A}` }, starts: "a" },
  { name: "a hidden menu", files: timed(`set timeout_style=hidden\n${A}`), starts: "a" },
  { name: "an octal time", files: { "grub.cfg": `set timeout=01\n${A}` }, starts: "a" },
  { name: "a hexadecimal time", files: { "grub.cfg": `set timeout=0x1\n${A}` }, starts: "a" },
  { name: "a time with words behind it", files: { "grub.cfg": `set timeout="1 second"\n${A}` }, starts: "a" },
  { name: "a time that is assigned without set", files: { "grub.cfg": `timeout=1\n${A}` }, starts: "a" },
  ...["-1", '"-1"', "'-1'", '""', "never", "-5", "4294967295", "0x"].map((value) => ({
    name: `timeout=${value}`,
    files: { "grub.cfg": `set timeout=${value}\n${A}` },
    starts: undefined,
  })),
  { name: "no timeout at all", files: { "grub.cfg": A }, starts: undefined },
  {
    name: "spaces around the equals sign",
    files: { "grub.cfg": `set timeout = 1\n${A}` },
    starts: undefined,
  },
  { name: "a timeout that is taken back", files: timed(`unset timeout\n${A}`), starts: undefined },
  {
    name: "a timeout in a variable",
    files: { "grub.cfg": `set wait=-1\nset timeout=$wait\n${A}` },
    starts: undefined,
  },
  {
    name: "a hidden menu without a timeout",
    files: { "grub.cfg": `set timeout_style=hidden\n${A}` },
    starts: undefined,
  },
  {
    name: "a timeout that custom.cfg changes",
    files: { ...timed(`${A}source $prefix/custom.cfg\n`), "custom.cfg": "set timeout=-1\n" },
    starts: undefined,
  },
  {
    name: "a timeout that a file of its own changes, by way of a function",
    files: {
      ...timed(`${A}function more {\n  source $config_directory/more.cfg\n}\nmore\n`),
      "more.cfg": "timeout=-1\n",
    },
    starts: undefined,
  },
  {
    name: "a timeout out of the environment block",
    files: { "grub.cfg": `${READS_ENVIRONMENT}${A}` },
    environment: { timeout: "-1" },
    starts: undefined,
  },
  {
    name: "a start that failed, and waits after it",
    files: { "grub.cfg": `${READS_ENVIRONMENT}${RECORD_FAIL}${A}` },
    environment: { recordfail: "1" },
    starts: undefined,
  },
  {
    name: "a menu that hides after good starts",
    files: { "grub.cfg": `${READS_ENVIRONMENT}${HIDES}${A}` },
    environment: { menu_auto_hide: "1", boot_success: "1" },
    starts: "a",
  },
  { name: "a password with an unrestricted entry", files: timed(`${USERS}${OPEN}`), starts: "a" },
  { name: "a password on the entry", files: timed(`${USERS}${A}`), starts: undefined },
  { name: "no superuser by name", files: timed(`set superusers=""\n${A}`), starts: undefined },
  { name: "users that nothing asks for", files: timed(entry("a", "--users root")), starts: "a" },
  {
    name: "users that win over unrestricted",
    files: timed(`${USERS}${entry("a", "--unrestricted --users root")}`),
    starts: undefined,
  },
  { name: "Red Hat's users without a password", files: timed(`${RED_HAT_USERS}${A}`), starts: "a" },
  {
    name: "Red Hat's users with a password, and an unrestricted entry",
    files: { ...timed(`${RED_HAT_USERS}${OPEN}`), "user.cfg": "GRUB2_PASSWORD=grub.pbkdf2.sha512.1\n" },
    starts: "a",
  },
  {
    name: "Red Hat's users with a password",
    files: { ...timed(`${RED_HAT_USERS}${A}`), "user.cfg": "GRUB2_PASSWORD=grub.pbkdf2.sha512.1\n" },
    starts: undefined,
  },
  {
    name: "an unrestricted entry that is not the default",
    files: timed(`${USERS}set default=b\n${OPEN}${B}`),
    starts: undefined,
  },
  {
    name: "a default by number",
    files: timed(`${USERS}set default=1\n${B}${OPEN}`),
    starts: "a",
  },
  { name: "a default by title", files: timed(`set default="Entry b"\n${A}${B}`), starts: "b" },
  { name: "a default by id", files: timed(`set default=b\n${A}${B}`), starts: "b" },
  { name: "a default that is not there", files: timed(`set default=gone\n${A}${B}`), starts: "a" },
  { name: "a number that is not there", files: timed(`set default=7\n${A}${B}`), starts: "a" },
  {
    name: "a default in a submenu",
    files: timed(`set default="more>b"\n${A}submenu 'More' --id more {\n${B}}\n`),
    starts: "b",
  },
  {
    name: "a submenu behind a password",
    files: timed(`${USERS}set default="more>b"\n${A}submenu 'More' --id more {\n${B}}\n`),
    starts: undefined,
  },
  {
    name: "an entry in an open submenu behind a password",
    files: timed(`${USERS}set default="more>b"\n${A}submenu 'More' --id more --unrestricted {\n${B}}\n`),
    starts: undefined,
  },
  {
    name: "an entry named for one start",
    files: { "grub.cfg": `${READS_ENVIRONMENT}${ONCE}set timeout=1\n${A}${B}` },
    environment: { saved_entry: "b" },
    starts: "b",
  },
  { name: "no entry", files: timed(""), starts: undefined },
  {
    name: "a line that a person types",
    files: timed(`echo "Enter a line"\nread answer\n${A}`),
    starts: undefined,
  },
  {
    name: "a key that may be held down",
    files: timed(`if keystatus --shift; then\n  set timeout=-1\nfi\n${A}`),
    starts: "a",
  },
  { name: "a second's sleep", files: timed(`sleep --interruptible 1\n${A}`), starts: "a" },
  { name: "authentication", files: timed(`${USERS}authenticate root\n${OPEN}`), starts: undefined },
  {
    name: "another configuration with a menu of its own",
    files: { "grub.cfg": "configfile $prefix/other.cfg\n", "other.cfg": `set timeout=1\n${A}` },
    starts: "a",
  },
  {
    name: "a timeout that is not exported to another configuration",
    files: { "grub.cfg": "set timeout=1\nconfigfile $prefix/other.cfg\n", "other.cfg": A },
    starts: undefined,
  },
  {
    name: "a configuration that is not there, before a menu",
    files: timed(`configfile $prefix/gone.cfg\n${A}`),
    starts: "a",
  },
  {
    name: "an else that waits",
    files: {
      "grub.cfg": `if [ -f $prefix/there ]; then\n  set timeout=1\nelif true; then\n  set timeout=-1\nfi\n${A}`,
    },
    starts: undefined,
  },
  {
    name: "a loop over words",
    files: { "grub.cfg": `for each in 5 3 1; do\n  set timeout=$each\ndone\n${A}` },
    starts: "a",
  },
  {
    name: "an evaluated text",
    files: timed(`eval "set timeout=-1"\n${A}`),
    starts: undefined,
  },
  {
    name: "a menu's own text with quotes and comments",
    files: {
      "grub.cfg": `# set timeout=-1\nset timeout=1 # set timeout=-1\nset text='it; said "x" {'\n${A}`,
    },
    starts: "a",
  },
];
