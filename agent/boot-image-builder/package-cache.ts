import { createHash } from "node:crypto";
import { access, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BootImageBuildError } from "../boot-image/errors.ts";
import { SUITE } from "./packages.ts";
import { runTool } from "./tool.ts";

/** A package in an image; with these, the same image can be built again. */
export interface PackageVersion {
  name: string;
  version: string;
  sha256: string;
}

export interface PackageCacheOptions {
  dir: string;
  /** A Debian mirror; security updates come from `securityMirror`. */
  mirror: string;
  securityMirror: string;
}

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/**
 * Debian packages in a private folder, with apt's lists and sources, so that the build machine's release and
 * settings do not matter and nothing is installed on it. apt checks the archive's signatures.
 */
export class PackageCache {
  readonly #options: PackageCacheOptions;

  constructor(options: PackageCacheOptions) {
    this.#options = options;
  }

  /** Brings the package lists up to date; about three seconds. */
  async update(): Promise<void> {
    await mkdir(join(this.#options.dir, "apt/lists/partial"), { recursive: true });
    await mkdir(join(this.#options.dir, "apt/cache/archives/partial"), { recursive: true });
    await mkdir(join(this.#options.dir, "packages"), { recursive: true });
    const { mirror, securityMirror } = this.#options;
    await writeFile(
      join(this.#options.dir, "apt/sources.list"),
      [
        `deb [arch=amd64 signed-by=${KEYRING}] ${mirror} ${SUITE} main`,
        `deb [arch=amd64 signed-by=${KEYRING}] ${mirror} ${SUITE}-updates main`,
        `deb [arch=amd64 signed-by=${KEYRING}] ${securityMirror} ${SUITE}-security main`,
        "",
      ].join("\n"),
    );
    await this.#apt("apt-get", ["-qq", "update"]);
  }

  /** The package that a metapackage currently stands for. */
  async dependencyOf(metapackage: string): Promise<string> {
    const output = await this.#apt("apt-cache", ["depends", "--important", metapackage]);
    const name = /^ {2}Depends: (\S+)$/m.exec(output)?.[1];
    if (!name) throw new BootImageBuildError(`${metapackage} depends on nothing`);
    return name;
  }

  /** The newest versions of packages, sorted by name; downloads those that are not here yet. */
  async fetchNewest(names: readonly string[]): Promise<PackageVersion[]> {
    const output = await this.#apt("apt-get", ["-qq", "--print-uris", "download", ...names]);
    // Lines are `'URI' NAME_VERSION_ARCHITECTURE.deb SIZE HASH`, with the version's colon escaped.
    const offered = [...output.matchAll(/^'[^']+' ([^_\s]+)_([^_\s]+)_\w+\.deb \d+/gm)];
    const versions = offered.map(([, name = "", version = ""]) => ({
      name,
      version: decodeURIComponent(version),
    }));
    if (versions.length !== new Set(names).size) {
      throw new BootImageBuildError(`apt offers ${versions.length} of ${names.length} packages`);
    }
    const fetched = await this.#fetch(versions);
    return fetched.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Gets exactly these packages; throws `BootImageBuildError` if one is unavailable or differs. */
  async fetchExactly(wanted: readonly PackageVersion[]): Promise<void> {
    for (const [index, fetched] of (await this.#fetch(wanted)).entries()) {
      if (fetched.sha256 !== wanted[index]?.sha256) {
        throw new BootImageBuildError(`${fetched.name} ${fetched.version} is no longer the same package`);
      }
    }
  }

  /** The path of a downloaded package. */
  pathOf({ name, version }: { name: string; version: string }): string {
    return join(this.#options.dir, "packages", `${name}_${encodeURIComponent(version)}.deb`);
  }

  async #fetch(versions: readonly { name: string; version: string }[]): Promise<PackageVersion[]> {
    const present = await Promise.all(versions.map((version) => exists(this.pathOf(version))));
    const absent = versions.filter((_, index) => !present[index]);
    if (absent.length > 0) await this.#download(absent);
    return Promise.all(
      versions.map(async ({ name, version }) => {
        const content = await readFile(this.pathOf({ name, version }));
        return { name, version, sha256: createHash("sha256").update(content).digest("hex") };
      }),
    );
  }

  async #download(versions: readonly { name: string; version: string }[]): Promise<void> {
    const packages = join(this.#options.dir, "packages");
    await mkdir(packages, { recursive: true });
    const incoming = await mkdtemp(join(packages, "incoming-"));
    try {
      const wanted = versions.map(({ name, version }) => `${name}=${version}`);
      await this.#apt("apt-get", ["-qq", "download", ...wanted], incoming);
      for (const version of versions) {
        const stem = `${version.name}_${version.version.replaceAll(":", "%3a")}`;
        const file = (await exists(join(incoming, `${stem}_amd64.deb`)))
          ? `${stem}_amd64.deb`
          : `${stem}_all.deb`;
        await rename(join(incoming, file), this.pathOf(version));
      }
    } finally {
      await rm(incoming, { recursive: true, force: true });
    }
  }

  #apt(program: string, args: string[], cwd?: string): Promise<string> {
    const apt = join(this.#options.dir, "apt");
    const settings = {
      "Dir::State": apt,
      "Dir::State::lists": join(apt, "lists"),
      "Dir::State::status": "/dev/null",
      "Dir::Cache": join(apt, "cache"),
      "Dir::Etc::SourceList": join(apt, "sources.list"),
      "Dir::Etc::SourceParts": "/dev/null",
      "Dir::Etc::Preferences": "/dev/null",
      "Dir::Etc::PreferencesParts": "/dev/null",
      "APT::Architecture": "amd64",
      "APT::Architectures": "amd64",
      "APT::Sandbox::User": "",
      "Acquire::Languages": "none",
    };
    const options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
    return runTool(program, [...options, ...args], { package: "apt", ...(cwd === undefined ? {} : { cwd }) });
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
