import { execFile } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { MachineUnsupportedError } from "#shared/errors.ts";

/** The user that QEMU runs as under libvirt, unless its configuration names one. */
const USUAL_USERS = ["libvirt-qemu", "qemu"];
const CONFIGURATION = "/etc/libvirt/qemu.conf";
const OTHERS_PASS = 0o001;

/**
 * Throws `MachineUnsupportedError` if the user that libvirt runs QEMU as cannot reach the folder; an unknown
 * user (`undefined`) is not judged. libvirt gives the user the images, but never the folders on the way to
 * them, and the machine would only fail when it is started:
 * https://github.com/dmacvicar/terraform-provider-libvirt/issues/1163
 */
export async function requireReachable(folder: string, user: string | undefined): Promise<void> {
  if (user === undefined || user === "root") return;
  for (const path of foldersTo(folder)) {
    const { mode } = await stat(path);
    // Not decisive: an access control list may allow it.
    if ((mode & OTHERS_PASS) !== 0 || (await mayPass(user, path))) continue;
    throw new MachineUnsupportedError(
      `libvirt's user ${user} may not pass through ${path} to the images`,
      `Allow that alone (setfacl -m u:${user}:x ${path}), or start the agent with --images and another folder, and convert again.`,
    );
  }
}

/** `/`, `/var`, `/var/lib` for `/var/lib`. */
function foldersTo(folder: string): string[] {
  return folder === "/" ? ["/"] : [...foldersTo(dirname(folder)), folder];
}

/** The user that libvirt runs QEMU as on this host; `undefined` if that is not known. */
export async function qemuUser(): Promise<string | undefined> {
  const configuration = await readFile(CONFIGURATION, "utf8").catch(() => "");
  const named = /^\s*user\s*=\s*"\+?([^"]+)"/m.exec(configuration)?.[1];
  if (named !== undefined) return named === "0" ? "root" : named;
  const known = (await readFile("/etc/passwd", "utf8")).split("\n").map((line) => line.split(":")[0]);
  return USUAL_USERS.find((user) => known.includes(user));
}

async function mayPass(user: string, path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const args = ["--reuid", user, "--regid", user, "--init-groups", "test", "-x", join(path, ".")];
  execFile("setpriv", args, { timeout: 10_000 }, (error) => resolve(!error));
  return promise;
}
