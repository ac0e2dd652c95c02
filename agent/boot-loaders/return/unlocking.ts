/**
 * Whether encrypted volumes open by themselves when this system starts. Only known ways to open them count.
 */
import { posix } from "node:path";
import type { BootMachine } from "../../machine/boot-machine.ts";
import { readText } from "../../machine/machine.ts";
import type { VolumeMap } from "../volumes.ts";
import { type EncryptedVolume, together, volumesInTable, volumesOnCommandLine } from "./encrypted-volumes.ts";
import { isOnEncryption } from "./encryption.ts";
import { attended, type Judgement, UNATTENDED, unknown, worstOf } from "./judgement.ts";
import { type LuksToken, readLuksTokens } from "./luks-header.ts";

const REMEDY =
  "Let a key file, the TPM (without a PIN) or the network open it for the time of the conversion.";
/** File systems that a start mounts from local volumes. */
const SYSTEM_PLACES = new Set(["/", "/usr", "/var", "/boot", "/etc", "/home", "/opt", "/srv"]);

export async function judgeUnlocking(machine: BootMachine, volumes: VolumeMap): Promise<Judgement> {
  const commandLine = await readText(machine, "/proc/cmdline");
  if (commandLine === undefined) {
    return unknown(
      "the kernel's command line cannot be read, so it is not known whether it asks for a passphrase",
      REMEDY,
    );
  }
  const early = volumesOnCommandLine(commandLine);
  const table = volumesInTable((await readText(machine, "/etc/crypttab")) ?? "");
  const named = together(table, early.volumes);
  const initrd = named.length > 0 ? await listInitrd(machine) : undefined;
  const judged = await Promise.all(named.map((volume) => judgeVolume(machine, volumes, { volume, initrd })));
  if (early.isOdd) {
    judged.push(
      unknown("the kernel's command line mentions encryption in words that are unknown here", REMEDY),
    );
  }
  judged.push(...(await judgeOthers(machine, volumes, named)), ...(await judgeZfs(machine, volumes)));
  return worstOf(judged);
}

/** Everything that decides about one volume. */
export interface VolumeFacts {
  volume: EncryptedVolume;
  /** Whether it holds the root file system, or something else that a start needs. */
  isNeeded: boolean;
  /** The tokens of the LUKS header; absent if it cannot be read. */
  tokens: readonly LuksToken[] | undefined;
  /** The file that is named as key, or has systemd's own name for one. */
  keyFile: "file" | "other" | "absent" | undefined;
  /** What is in the initial RAM disk; absent if unknown. */
  initrd: string | undefined;
  /** Whether Clevis opens volumes that are opened later. */
  isClevisAsked: boolean;
}

const WANTED_BY_CRYPTSETUP = "/etc/systemd/system/cryptsetup.target.wants";

const RANDOM_KEYS = /^\/dev\/(u?random|hw_random)$/;
const NEEDS_A_PERSON = /^(fido2-device|pkcs11-uri)=./;

export function judgeVolumeFacts(facts: VolumeFacts): Judgement {
  const { volume, isNeeded } = facts;
  const { name, options, early } = volume;
  const has = (option: string) => options.includes(option);
  if (has("noauto") && !isNeeded && !early) return UNATTENDED;
  if (has("nofail") && !isNeeded && !early) return UNATTENDED;
  const asks = attended(`the start waits for the passphrase of the encrypted volume ${name}`, REMEDY);
  const person = options.find((option) => NEEDS_A_PERSON.test(option));
  if (person)
    return attended(`the encrypted volume ${name} is opened with a device and a person (${person})`, REMEDY);
  const script = optionOf(options, "keyscript");
  if (script !== undefined) return ofScript(name, script);
  if (volume.key !== undefined && RANDOM_KEYS.test(volume.key)) return UNATTENDED;
  const tpm = ofTpm(facts);
  if (tpm) return tpm;
  if (volume.key !== undefined) return ofKeyFile(facts, volume.key);
  const clevis = ofClevis(facts);
  if (clevis) return clevis;
  if (facts.keyFile === "file")
    return isEarly(facts)
      ? unknown(`it is not known whether the initial RAM disk has the key file of ${name}`, REMEDY)
      : UNATTENDED;
  return asks;
}

function optionOf(options: readonly string[], name: string): string | undefined {
  return options.find((option) => option.startsWith(`${name}=`))?.slice(name.length + 1);
}

/** Whether the initial RAM disk opens it. The root file system is not mounted yet at that time. */
function isEarly({ volume, isNeeded }: VolumeFacts): boolean {
  return (
    volume.early ||
    isNeeded ||
    volume.options.includes("initramfs") ||
    volume.options.includes("x-initrd.attach")
  );
}

function ofScript(name: string, script: string): Judgement {
  if (/(^|\/)decrypt_derived$/.test(script)) return UNATTENDED;
  return /(^|\/)decrypt_(keyctl|gnupg|gnupg-sc|opensc|ssl)$/.test(script)
    ? attended(
        `the script that opens the encrypted volume ${name} asks for its passphrase (${script})`,
        REMEDY,
      )
    : unknown(
        `it is not known whether the script that opens the encrypted volume ${name} asks a person (${script})`,
        REMEDY,
      );
}

function ofTpm({ volume, tokens }: VolumeFacts): Judgement | undefined {
  const { name, options } = volume;
  const device = optionOf(options, "tpm2-device");
  if (device === undefined || device === "" || device === "no") return undefined;
  const asksPin = /^(yes|true|1|on)$/.test(optionOf(options, "tpm2-pin") ?? "");
  const enrolled = tokens?.filter(({ type }) => type === "systemd-tpm2");
  if (asksPin || (enrolled && enrolled.length > 0 && enrolled.every(({ needsPin }) => needsPin))) {
    return attended(`the TPM opens the encrypted volume ${name} only with a PIN`, REMEDY);
  }
  if (!enrolled)
    return unknown(
      `it is not known whether the TPM opens the encrypted volume ${name}: its header cannot be read`,
      REMEDY,
    );
  return enrolled.length > 0
    ? UNATTENDED
    : attended(
        `no TPM is enrolled for the encrypted volume ${name}, so the start asks for its passphrase`,
        REMEDY,
      );
}

function ofClevis(facts: VolumeFacts): Judgement | undefined {
  const { volume, tokens, initrd, isClevisAsked } = facts;
  if (!tokens?.some(({ type }) => type === "clevis")) return undefined;
  const isThere = isEarly(facts) ? initrd && /\bclevis\b/.test(initrd) : isClevisAsked;
  if (isThere) return UNATTENDED;
  return isThere === undefined
    ? unknown(`it is not known whether Clevis opens the encrypted volume ${volume.name} at the start`, REMEDY)
    : attended(
        `the encrypted volume ${volume.name} needs Clevis, which is missing at the time when the start opens it`,
        "Install Clevis for the initial RAM disk (clevis-initramfs, clevis-dracut) or enable clevis-luks-askpass.path.",
      );
}

function ofKeyFile(facts: VolumeFacts, key: string): Judgement {
  const { volume, keyFile, initrd } = facts;
  const doubt = unknown(
    `it is not known whether the key of the encrypted volume ${volume.name} is there at the start (${key})`,
    REMEDY,
  );
  if (!key.startsWith("/") || key.startsWith("/dev/") || key.includes(":")) return doubt;
  if (isEarly(facts)) {
    // Debian gives the files names of its own.
    if (initrd === undefined) return doubt;
    const isThere = initrd
      .split("\n")
      .some((path) => path.trim().endsWith(key.slice(1)) || /cryptroot\/keyfiles\/./.test(path));
    return isThere ? UNATTENDED : doubt;
  }
  if (keyFile === "file") return UNATTENDED;
  return keyFile === "absent"
    ? attended(
        `the key file of the encrypted volume ${volume.name} does not exist, so the start asks for its passphrase (${key})`,
        REMEDY,
      )
    : doubt;
}

async function judgeVolume(
  machine: BootMachine,
  volumes: VolumeMap,
  { volume, initrd }: Pick<VolumeFacts, "volume" | "initrd">,
): Promise<Judgement> {
  const mapped = await machine.resolve(`/dev/mapper/${volume.name}`);
  const places = mapped ? await placesOn(machine, volumes, posix.basename(mapped)) : [];
  const path = await pathOfDevice(machine, volume.device);
  const keyPath = volume.key ?? `/etc/cryptsetup-keys.d/${volume.name}.key`;
  const status = await machine.status(keyPath).catch(() => undefined);
  // A key on another mounted file system may be missing at the next start.
  const isAtHome = SYSTEM_PLACES.has(volumes.holding(keyPath)?.mountPoint ?? "");
  return judgeVolumeFacts({
    volume,
    initrd,
    isNeeded: places.some((place) => SYSTEM_PLACES.has(place)),
    tokens: path === undefined ? undefined : await readLuksTokens(machine, path),
    keyFile: status === undefined ? "absent" : status.kind === "file" && isAtHome ? "file" : "other",
    isClevisAsked: (await machine.list(WANTED_BY_CRYPTSETUP)).includes("clevis-luks-askpass.path"),
  });
}

/** Where file systems on this device are mounted, directly or at a higher level. */
async function placesOn(machine: BootMachine, { volumes }: VolumeMap, name: string): Promise<string[]> {
  const places: string[] = [];
  for (const volume of volumes) {
    const device = await machine.resolve(`/sys/dev/block/${volume.device}`);
    if (device && (await restsOn(machine, device, name, 0))) places.push(volume.mountPoint);
  }
  return places;
}

async function restsOn(machine: BootMachine, folder: string, name: string, depth: number): Promise<boolean> {
  if (posix.basename(folder) === name) return true;
  if (depth > 16) return false;
  for (const slave of await machine.list(`${folder}/slaves`)) {
    const next = await machine.resolve(`${folder}/slaves/${slave}`);
    if (next && (await restsOn(machine, next, name, depth + 1))) return true;
  }
  return false;
}

async function pathOfDevice(machine: BootMachine, device: string | undefined): Promise<string | undefined> {
  const [, kind = "", value = ""] = /^(UUID|PARTUUID|LABEL|PARTLABEL)="?([^"]*)"?$/i.exec(device ?? "") ?? [];
  const path = kind ? `/dev/disk/by-${kind.toLowerCase()}/${value}` : device;
  return path?.startsWith("/dev/") ? machine.resolve(path) : undefined;
}

/**
 * The names in the initial RAM disk that the running kernel was started with, as Debian's and dracut's tools
 * list them.
 */
async function listInitrd(machine: BootMachine): Promise<string | undefined> {
  const release = await readText(machine, "/proc/sys/kernel/osrelease");
  for (const [tool, path] of [
    ["lsinitramfs", `/boot/initrd.img-${release}`],
    ["lsinitrd", `/boot/initramfs-${release}.img`],
  ] as const) {
    if (!(await machine.status(path).catch(() => undefined))) continue;
    const listed = await machine.run(tool, path);
    if (listed?.status === 0) return listed.output;
  }
  return undefined;
}

/** Judges what is encrypted and in use, and is opened by none of the named volumes. */
async function judgeOthers(
  machine: BootMachine,
  volumes: VolumeMap,
  named: readonly EncryptedVolume[],
): Promise<Judgement[]> {
  const mapped = await Promise.all(named.map(({ name }) => machine.resolve(`/dev/mapper/${name}`)));
  const known = await Promise.all(
    mapped.map(async (path) => (path ? placesOn(machine, volumes, posix.basename(path)) : [])),
  );
  const places = new Set(known.flat());
  for (const volume of volumes.volumes) {
    if (!SYSTEM_PLACES.has(volume.mountPoint) || places.has(volume.mountPoint)) continue;
    if (await isOnEncryption(machine, volume)) {
      return [
        unknown(`${volume.mountPoint} is encrypted, and it is not known what opens it at the start`, REMEDY),
      ];
    }
  }
  return [];
}

async function judgeZfs(machine: BootMachine, { volumes }: VolumeMap): Promise<Judgement[]> {
  const odd = volumes.find(({ type }) => type === "bcachefs");
  const judged = odd
    ? [unknown(`it is not known whether ${odd.mountPoint} (bcachefs) is encrypted`, REMEDY)]
    : [];
  if (!volumes.some(({ type }) => type === "zfs")) return judged;
  const listed = await machine.run(
    "zfs",
    "get",
    "-H",
    "-o",
    "name,value",
    "-t",
    "filesystem,volume",
    "keylocation",
  );
  if (listed?.status !== 0) return [...judged, unknown("it is not known whether ZFS is encrypted", REMEDY)];
  for (const line of listed.output.split("\n").filter(Boolean)) {
    const [name = "", location = "none"] = line.split("\t");
    if (location === "none" || location === "-") continue;
    judged.push(
      location === "prompt"
        ? attended(`the start may wait for the passphrase of the ZFS dataset ${name}`, REMEDY)
        : unknown(
            `it is not known whether the key of the ZFS dataset ${name} is there at the start (${location})`,
            REMEDY,
          ),
    );
  }
  return judged;
}
