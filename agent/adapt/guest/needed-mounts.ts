import { fstabEntries } from "../../machine/fstab.ts";

/** What an adaptation may have to read or write, if it is on a volume of its own. */
const NEEDED = ["/usr", "/var", "/var/lib", "/var/tmp", "/boot", "/boot/efi", "/efi"];
/** Others are in memory, or on the network. */
const BLOCK_DEVICE = /^(\/dev\/|(PART)?(UUID|LABEL)=)/;

/** What has to be mounted besides the root, outer folders first. */
export function neededMounts(fstab: string): { device: string; place: string; options: string[] }[] {
  return fstabEntries(fstab)
    .filter(({ device, place }) => NEEDED.includes(place) && BLOCK_DEVICE.test(device))
    .sort((a, b) => a.place.length - b.place.length)
    .map(({ device, place, options }) => ({
      ...{ device, place },
      options: options.split(",").filter((option) => /^subvol(id)?=/.test(option)),
    }));
}
