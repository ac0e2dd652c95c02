/** One object of the Windows boot configuration, as `bcdedit /enum all /v` prints it. */
export interface BcdObject {
  /** `{9dea862c-5cdd-4e70-acc1-f32b344d4795}`, in lower case. */
  id: string;
  /** Its elements by bcdedit's names; several values in order. */
  elements: Readonly<Record<string, readonly string[]>>;
}

export const BOOT_MANAGER = "{9dea862c-5cdd-4e70-acc1-f32b344d4795}";
export const FIRMWARE_BOOT_MANAGER = "{a5a30fa2-3d06-4e9f-b5f4-a01df9d1fcba}";

const IDENTIFIER = /\{[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}/i;

/**
 * The objects in the order printed. Headings and the name of the identifier are in the language of Windows
 * and are ignored: an object is what follows a line of dashes, and its first element is its identifier.
 * Returns `undefined` for any other output.
 */
export function parseBcdEnumeration(output: string): BcdObject[] | undefined {
  const objects: BcdObject[] = [];
  let rows: [string, string[]][] | undefined;
  const finish = () => {
    const object = rows && toObject(rows);
    if (object) objects.push(object);
    rows = undefined;
  };
  for (const line of output.split(/\r?\n/)) {
    if (/^-+$/.test(line)) {
      finish();
      rows = [];
    } else if (line.trim() === "") finish();
    else if (/^\s/.test(line)) rows?.at(-1)?.[1].push(line.trim());
    else if (rows) {
      const [, name = line, value = ""] = /^(\S+)\s+(.*\S)\s*$/.exec(line) ?? [];
      rows.push([name, [value]]);
    }
  }
  finish();
  return objects.length > 0 ? objects : undefined;
}

function toObject([first, ...rest]: [string, string[]][]): BcdObject | undefined {
  const id = IDENTIFIER.exec(first?.[1][0] ?? "")?.[0];
  return id === undefined ? undefined : { id: id.toLowerCase(), elements: Object.fromEntries(rest) };
}

/** The identifier in a message such as `The entry {…} was successfully created.`, in any language. */
export function parseCreatedId(output: string): string | undefined {
  return IDENTIFIER.exec(output)?.[0].toLowerCase();
}

/**
 * The same text for equal configurations: objects and elements are sorted by name; the order of values
 * counts, because it is the order of the menu.
 */
export function canonicalBcd(objects: readonly BcdObject[]): string {
  const lines = objects.flatMap(({ id, elements }) =>
    Object.entries(elements).map(([name, values]) => `${id} ${name} ${JSON.stringify(values)}`),
  );
  return [...objects.map(({ id }) => id), ...lines].sort().join("\n");
}
