/** What an adaptation may have to read or write, if it is on a volume of its own. */
const NEEDED = ["/usr", "/var", "/var/lib", "/var/tmp", "/boot", "/boot/efi", "/efi"];
/** Others are in memory, or on the network. */
const BLOCK_DEVICE = /^(\/dev\/|(PART)?(UUID|LABEL)=)/;

/** The entries of `/etc/fstab`. */
export function entriesOf(fstab: string): { device: string; place: string; options: string }[] {
  return fstab.split("\n").flatMap((line) => {
    const [, device, place, options] = /^\s*([^\s#]\S*)\s+(\S+)\s+\S+\s*(\S*)/.exec(line) ?? [];
    return device && place ? [{ device, place, options: options ?? "" }] : [];
  });
}

/** What has to be mounted besides the root, outer folders first. */
export function neededMounts(fstab: string): { device: string; place: string; options: string[] }[] {
  return entriesOf(fstab)
    .filter(({ device, place }) => NEEDED.includes(place) && BLOCK_DEVICE.test(device))
    .sort((a, b) => a.place.length - b.place.length)
    .map(({ device, place, options }) => ({
      ...{ device, place },
      options: options.split(",").filter((option) => /^subvol(id)?=/.test(option)),
    }));
}

/** The entries of `/etc/crypttab`: the mapper's name of what is inside, and the encrypted device. */
export function encryptedEntriesOf(table: string): { name: string; device: string }[] {
  return table.split("\n").flatMap((line) => {
    const [, name, device] = /^\s*([^\s#]\S*)\s+(\S+)/.exec(line) ?? [];
    return name && device ? [{ name, device }] : [];
  });
}
