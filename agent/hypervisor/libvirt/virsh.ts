import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HypervisorFailedError, ToolMissingError } from "#shared/errors.ts";
import { ownWords } from "../own-words.ts";

/** libvirt waits for QEMU to start, and for its locks. */
const LIMIT_MS = 120_000;
const OUTPUT_BYTES = 4 * 2 ** 20;

/** How libvirt's own program is called. Arguments never pass through a shell. */
export interface Virsh {
  /**
   * What it prints. Throws `ToolMissingError` if it is not installed, and `HypervisorFailedError` with its
   * own words if it fails. `document` is passed as a file, whose path is the last argument.
   */
  run(args: readonly string[], document?: string): Promise<string>;
}

/** The libvirt of this host. */
export const localVirsh: Virsh = {
  async run(args, document) {
    if (document === undefined) return execute(args);
    // A file, because the standard input of a child of Node is a socket, which cannot be opened by its name.
    const folder = await mkdtemp(join(tmpdir(), "causeway-virsh-"));
    try {
      const path = join(folder, "document.xml");
      await writeFile(path, document, { mode: 0o600 });
      return await execute([...args, path]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

function execute(args: readonly string[]): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const options = {
    ...{ timeout: LIMIT_MS, killSignal: "SIGKILL" as const, maxBuffer: OUTPUT_BYTES },
    // Nothing of the agent's environment: its variables could name another host.
    env: { LC_ALL: "C", PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
  };
  const command = ["--quiet", "--connect", "qemu:///system", ...args];
  execFile("virsh", command, options, (error, output, errors) => {
    if (!error) resolve(output);
    else if (error.code === "ENOENT") reject(new ToolMissingError("virsh", "libvirt-clients"));
    else reject(failure(args, error.killed === true ? `it took more than ${LIMIT_MS / 1000} s` : errors));
  });
  return promise;
}

function failure([action = ""]: readonly string[], errors: string): Error {
  const said = ownWords(errors.replace(/^error: /gm, ""));
  // libvirt's daemon, or its part for QEMU, is another package than the program.
  if (said.includes("Failed to connect socket"))
    return new ToolMissingError("libvirt", "libvirt-daemon-system");
  return new HypervisorFailedError(`libvirt refused ${action}: ${said}`);
}
