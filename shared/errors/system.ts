/**
 * What the operating system refuses for a reason that an operator can remove. It is not a bug of Causeway.
 */
import { CausewayError } from "./causeway-error.ts";

/** An error of Node's file system and process functions. */
interface SystemError extends Error {
  code: string;
  syscall?: string;
  path?: string;
}

/** By errno name: what it means, what to do, and whether it makes sense only with a path. */
const FAULTS: Readonly<Record<string, { meaning: string; hint: string; needsPath?: true }>> = {
  ENOENT: { meaning: "does not exist", hint: "Check the path, and create what is missing.", needsPath: true },
  EACCES: {
    meaning: "cannot be accessed by this user",
    hint: "Run as a user who has access, or change the permissions of the file and its folders.",
    needsPath: true,
  },
  EPERM: {
    meaning: "cannot be changed by this user",
    hint: "Run as root, or change the owner or attributes of the file.",
    needsPath: true,
  },
  EEXIST: {
    meaning: "already exists",
    hint: "Name another path, or remove what is there first.",
    needsPath: true,
  },
  ENOTDIR: { meaning: "leads through a file that is not a folder", hint: "Check the path.", needsPath: true },
  EISDIR: { meaning: "is a folder", hint: "Name a file." },
  ENAMETOOLONG: { meaning: "is too long", hint: "Use shorter names.", needsPath: true },
  ELOOP: { meaning: "goes in circles through links", hint: "Repair the links.", needsPath: true },
  EBUSY: { meaning: "is in use", hint: "Stop the program that uses it.", needsPath: true },
  ENXIO: { meaning: "has no device behind it", hint: "Check the path and the device.", needsPath: true },
  EROFS: {
    meaning: "is on a read-only file system",
    hint: "Choose another folder, or mount the file system for writing.",
  },
  ENOSPC: { meaning: "is on a file system that is full", hint: "Make room, or choose another folder." },
  EDQUOT: { meaning: "exceeds this user's disk quota", hint: "Make room, or choose another folder." },
  EIO: {
    meaning: "cannot be read or written: the device reports an error",
    hint: "Check the kernel's log (dmesg) and the disk's health.",
  },
  EMFILE: { meaning: "cannot be opened: too many files are open", hint: "Raise the limit (ulimit -n)." },
  ENFILE: { meaning: "cannot be opened: too many files are open", hint: "Raise the limit (fs.file-max)." },
};

/** A file, folder, device or program cannot be used, and the operating system says why. */
export class SystemRefusedError extends CausewayError {
  override readonly name = "SystemRefusedError";
  readonly retryable = false;
  readonly hint: string;
  override readonly details: { code: string };

  constructor(message: string, hint: string, code: string) {
    super(message);
    this.hint = hint;
    this.details = { code };
  }
}

/** The error in our words. Returns `undefined` if it is not such a refusal. */
export function asSystemRefusal(error: unknown): SystemRefusedError | undefined {
  if (!isSystemError(error)) return undefined;
  const { code, syscall = "", path } = error;
  const fault = FAULTS[code];
  if (!fault || (fault.needsPath && path === undefined)) return undefined;
  if (syscall.startsWith("spawn") && code === "ENOENT")
    return new SystemRefusedError(`${path} is not installed`, `Install ${path}, then try again.`, code);
  if (syscall === "mkdir" && code === "EEXIST")
    return new SystemRefusedError(`${path} is not a folder`, "Name a folder, or remove the file.", code);
  return new SystemRefusedError(`${path ?? "a file"} ${fault.meaning}`, fault.hint, code);
}

function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && "code" in error && typeof error.code === "string" && "errno" in error;
}
