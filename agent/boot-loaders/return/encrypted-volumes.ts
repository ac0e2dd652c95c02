/**
 * The encrypted volumes that a start of this system opens, by crypttab(5), systemd-cryptsetup-generator(8),
 * dracut.cmdline(7) and similar.
 */

export interface EncryptedVolume {
  /** The name of the opened device: `/dev/mapper/NAME`. */
  name: string;
  /** `UUID=…` or a path; absent if only a name is given. */
  device: string | undefined;
  /** Absent if none is given, or it is `none` or `-`. */
  key: string | undefined;
  options: readonly string[];
  /** Whether the initial RAM disk opens it. */
  early: boolean;
}

export function volumesInTable(table: string): EncryptedVolume[] {
  return table
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const [name = "", device, key, options = ""] = line.split(/\s+/);
      return { name, device, key: keyOf(key), options: options.split(",").filter(Boolean), early: false };
    });
}

function keyOf(key: string | undefined): string | undefined {
  return key === undefined || key === "none" || key === "-" || key === "" ? undefined : key;
}

/** Anything on the command line that concerns encryption. */
const SMELLS = /^(rd\.)?luks\b|^rd_LUKS|^cryptdevice=|^cryptopts=|^cryptkey=|^crypto=|^zfs_?key|^rd\.zfs/i;

/**
 * The volumes that the command line names for the initial RAM disk. `isOdd`: it mentions encryption in words
 * that are unknown here.
 */
export function volumesOnCommandLine(commandLine: string): { volumes: EncryptedVolume[]; isOdd: boolean } {
  const settings = commandLine.split(/\s+/).map((word) => {
    const [, name = word, value = ""] = /^([^=]+)=(.*)$/s.exec(word) ?? [];
    return { name, value: value.replace(/^"(.*)"$/, "$1") };
  });
  const all = (...names: string[]) =>
    settings.filter(({ name }) => names.includes(name)).map(({ value }) => value);
  if (all("rd.luks", "luks").some((value) => /^(0|no|off|false)$/.test(value)))
    return { volumes: [], isOdd: false };
  const [common = []] = all("rd.luks.options", "luks.options")
    .filter((value) => !/^[0-9a-f-]{36}=/i.test(value))
    .map((value) => value.split(","));
  const keyFor = (uuid: string) => {
    const keys = all("rd.luks.key", "luks.key");
    const own = keys.find((value) => value.toLowerCase().startsWith(`${uuid.toLowerCase()}=`));
    return keyOf(own?.slice(uuid.length + 1) ?? keys.find((value) => !/^[0-9a-f-]{36}=/i.test(value)));
  };
  const ofUuid = (given: string, name = `luks-${given}`): EncryptedVolume => {
    const uuid = given.replace(/^luks-/, "");
    const own = all("rd.luks.options", "luks.options").find((value) => value.startsWith(`${uuid}=`));
    const options = own ? own.slice(uuid.length + 1).split(",") : common;
    return { name, device: `UUID=${uuid}`, key: keyFor(uuid), options, early: true };
  };
  const volumes = [
    ...all("rd.luks.uuid", "luks.uuid", "rd_LUKS_UUID").map((uuid) => ofUuid(uuid)),
    ...all("rd.luks.name", "luks.name").map((value) => {
      const [uuid = "", name] = value.split("=");
      return ofUuid(uuid, name);
    }),
    ...all("cryptdevice").map((value): EncryptedVolume => {
      const [device, name = ""] = value.split(":");
      return { name, device, key: keyOf(all("cryptkey")[0]), options: [], early: true };
    }),
  ];
  const known =
    /^(rd\.)?luks\.(uuid|name|options|key|crypttab|allow-discards|timeout)$|^rd_LUKS_UUID$|^cryptdevice$|^cryptkey$/;
  const isOdd = settings.some(({ name, value }) => SMELLS.test(`${name}=${value}`) && !known.test(name));
  return { volumes, isOdd };
}

/** One volume for each device: the table's key and options apply if the command line names none. */
export function together(
  table: readonly EncryptedVolume[],
  early: readonly EncryptedVolume[],
): EncryptedVolume[] {
  const keyOfDevice = ({ device, name }: EncryptedVolume) =>
    (device ?? name).toLowerCase().replaceAll('"', "");
  const all = new Map(table.map((volume) => [keyOfDevice(volume), volume]));
  for (const volume of early) {
    const named = all.get(keyOfDevice(volume));
    all.set(keyOfDevice(volume), {
      ...volume,
      name: named?.name ?? volume.name,
      key: volume.key ?? named?.key,
      options: [...volume.options, ...(named?.options ?? [])],
    });
  }
  return [...all.values()];
}
