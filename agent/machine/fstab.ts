/** The entries of `/etc/fstab`, as written. `options`: empty if the line has none. */
export function fstabEntries(fstab: string): { device: string; place: string; options: string }[] {
  return fstab.split("\n").flatMap((line) => {
    const [, device, place, options] = /^\s*([^\s#]\S*)\s+(\S+)\s+\S+\s*(\S*)/.exec(line) ?? [];
    return device && place ? [{ device, place, options: options ?? "" }] : [];
  });
}
