/** For tests: what a boot image's manifest says, whatever the image is. */
import type { FullManifest } from "../manifest.ts";

export function aManifest(change: Partial<FullManifest> & Pick<FullManifest, "files">): FullManifest {
  return {
    format: 1,
    architecture: "x86_64",
    causewayVersion: "0.1.0",
    nodeVersion: "v24",
    kernelRelease: "6.1",
    commandLine: "panic=10",
    memoryMiB: 1024,
    system: "linux",
    secureBootSigned: false,
    sourceDateEpoch: 0,
    packages: [],
    programs: [],
    firmware: [],
    drivers: [],
    ...change,
  };
}
