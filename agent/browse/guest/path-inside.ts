import { lstatSync, readlinkSync, type Stats } from "node:fs";

const SLASH = Buffer.from("/");
/** As many as Linux follows. */
const MOST_LINKS = 40;

/** There is nothing at the path. */
export class NothingThereError extends Error {
  override readonly name = "NothingThereError";
}

/**
 * Where a path of a mounted volume is, with its own top as the root: links on the way are followed within the
 * volume, also absolute ones, and `..` leads no higher than the top. A link at the end is not followed.
 * `name` is the last name, or empty for the top. Throws `NothingThereError`. A guest has no other work, and
 * under emulation a synchronous call takes a fraction of the time.
 */
export function pathInside(root: Buffer, path: Buffer): { location: Buffer; name: Buffer } {
  const left = namesOf(path);
  const reached: Buffer[] = [];
  let links = 0;
  for (let name = left.shift(); name; name = left.shift()) {
    if (name.equals(Buffer.from("."))) continue;
    if (name.equals(Buffer.from(".."))) {
      reached.pop();
      continue;
    }
    reached.push(name);
    const location = locate(root, reached);
    const stats = statsOf(location);
    if (!stats.isSymbolicLink() || left.length === 0) continue;
    if (++links > MOST_LINKS) throw new NothingThereError();
    const target = readlinkSync(location, { encoding: "buffer" });
    if (target[0] === SLASH[0]) reached.length = 0;
    else reached.pop();
    left.unshift(...namesOf(target));
  }
  return { location: locate(root, reached), name: reached.at(-1) ?? Buffer.alloc(0) };
}

function statsOf(location: Buffer): Stats {
  try {
    return lstatSync(location);
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (["ENOENT", "ENOTDIR", "ENAMETOOLONG"].includes(code)) throw new NothingThereError();
    throw error;
  }
}

function locate(root: Buffer, names: readonly Buffer[]): Buffer {
  return Buffer.concat([root, ...names.flatMap((name) => [SLASH, name])]);
}

/** The names between slashes. */
function namesOf(path: Buffer): Buffer[] {
  const names: Buffer[] = [];
  for (let at = 0; at < path.length; ) {
    const slash = path.indexOf(SLASH, at);
    const end = slash < 0 ? path.length : slash;
    if (end > at) names.push(path.subarray(at, end));
    at = end + 1;
  }
  return names;
}
