/** Packages of a Debian release, unpacked but not installed. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../machines/disk/command.ts";

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const MIRROR = "http://deb.debian.org/debian";

/** The folder with the modules for BIOS. For the release on which this runs, it is the installed one. */
export async function grubModules(suite: "bookworm" | "trixie", dir: string): Promise<string> {
  return suite === "bookworm"
    ? "/usr/lib/grub/i386-pc"
    : join(await unpackPackage(suite, "grub-pc-bin", dir), "usr/lib/grub/i386-pc");
}

/** The file with a release's systemd-boot. */
export async function systemdBoot(suite: "bookworm" | "trixie", dir: string): Promise<string> {
  const folder = await unpackPackage(suite, "systemd-boot-efi", dir);
  return join(folder, "usr/lib/systemd/boot/efi/systemd-bootx64.efi");
}

/**
 * The folder with a package's content. Downloads the package with separate apt lists and sources. Apt checks
 * the archive's signatures.
 */
async function unpackPackage(suite: string, name: string, dir: string): Promise<string> {
  await mkdir(join(dir, "lists/partial"), { recursive: true });
  await mkdir(join(dir, "cache/archives/partial"), { recursive: true });
  const sources = join(dir, "sources.list");
  await writeFile(sources, `deb [arch=amd64 signed-by=${KEYRING}] ${MIRROR} ${suite} main\n`);
  const options = [
    ...[`Dir::Etc::SourceList=${sources}`, "Dir::Etc::SourceParts=-", `Dir::State::Lists=${dir}/lists`],
    ...[`Dir::Cache=${dir}/cache`, "APT::Sandbox::User=root"],
  ].flatMap((option) => ["-o", option]);
  await run("apt-get", [...options, "-qq", "update"]);
  await run("sh", [
    "-c",
    'cd "$1" && shift && exec apt-get "$@"',
    "sh",
    dir,
    ...options,
    "-qq",
    "download",
    name,
  ]);
  await run("sh", ["-c", 'dpkg-deb -x "$1"/"$2"_*.deb "$1/root"', "sh", dir, name]);
  return join(dir, "root");
}
