/** Where the device mapper shows a logical volume. It doubles the dashes of both names. */
export function mappedVolume(group: string, volume: string): string {
  const doubled = (name: string) => name.replaceAll("-", "--");
  return `/dev/mapper/${doubled(group)}-${doubled(volume)}`;
}
