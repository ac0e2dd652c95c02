/**
 * A file of sections with names and values, as systemd and NetworkManager write them. A name can occur more
 * than once.
 */
export type IniFile = Map<string, Map<string, string[]>>;

/**
 * Sections that occur twice are merged; what comes before the first section is in the section without name.
 */
export function parseIni(text: string): IniFile {
  const file: IniFile = new Map();
  let section = "";
  for (const raw of text.split("\n")) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#") || line.startsWith(";")) continue;
    const header = /^\[(.+)\]$/.exec(line);
    if (header?.[1]) {
      section = header[1];
      continue;
    }
    const equals = line.indexOf("=");
    if (equals < 0) continue;
    const values = file.get(section) ?? new Map<string, string[]>();
    file.set(section, values);
    const name = line.slice(0, equals).trim();
    values.set(name, [...(values.get(name) ?? []), line.slice(equals + 1).trim()]);
  }
  return file;
}

export function iniValue(file: IniFile, section: string, name: string): string | undefined {
  return file.get(section)?.get(name)?.at(-1);
}
