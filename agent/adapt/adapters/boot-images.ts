import { posix } from "node:path";
import type { Adapter } from "../adapter.ts";
import { filesMatching } from "../captured-system.ts";

const ENTRIES = [
  ...["/boot/grub/grub.cfg", "/boot/grub2/grub.cfg", "/boot/efi/EFI/*/grub.cfg"],
  ...["/boot/grub/menu.lst", "/boot/grub/grub.conf"],
  ...["/boot/loader/entries/*.conf", "/boot/efi/loader/entries/*.conf", "/efi/loader/entries/*.conf"],
];
const LINE = /^\s*initrd(?:16|efi)?\s+(.+)$/gm;
/** Microcode is no initramfs; a rescue system has every driver. A variable's value is not known. */
const OTHERS = /ucode|-0-rescue-|\$/;

/** A boot loader can start an initramfs that is not in `/boot` beside its kernel, which is not adapted. */
export const bootImages: Adapter = {
  reads: ENTRIES,
  adapt(system) {
    const known = new Set(
      system.kernels.flatMap(({ initramfs }) => (initramfs ? [posix.basename(initramfs.path)] : [])),
    );
    const notes = filesMatching(system, ENTRIES).flatMap(({ path, text }) => {
      const images = [...text.matchAll(LINE)].flatMap(([, words = ""]) => words.trim().split(/\s+/));
      return [...new Set(images)]
        .filter((image) => !OTHERS.test(image) && !known.has(posix.basename(image)))
        .map((image) => `${path} starts ${image}, whose drivers are not looked at`);
    });
    return { notes };
  },
};
