/** For tests: GRUB with the files of a configuration, as a map by their names below GRUB's folder. */
import type { GrubFile, GrubFiles } from "../../grub-script/files.ts";
import { grubEnvironmentBlock } from "../../testing/grub-installation.ts";
import { followGrub, type GrubOutcome } from "../grub-follow.ts";
import { type Judgement, worstOf } from "../judgement.ts";

const DEVICE = "uuid:b007";
export const FOLDER = "/boot/grub";

/** An entry that prints its name, and starts a system on `/dev/sda1`. */
export function entry(id: string, options = ""): string {
  return `menuentry 'Entry ${id}' --id ${id} ${options} {\n  echo STARTED:${id}\n  linux /none root=/dev/sda1\n}\n`;
}

export function filesOf(files: Readonly<Record<string, string | Buffer>>): GrubFiles {
  const all = new Map<string, GrubFile>([["/", { kind: "folder", names: [] }]]);
  for (const [name, content] of Object.entries(files)) {
    const path = name.startsWith("/") ? name : `${FOLDER}/${name}`;
    all.set(path, { kind: "file", bytes: Buffer.from(content) });
    const at = path.lastIndexOf("/");
    const folder = all.get(path.slice(0, at));
    const names = folder?.kind === "folder" ? folder.names : [];
    all.set(path.slice(0, at), { kind: "folder", names: [...names, path.slice(at + 1)] });
  }
  return (device, path) => (device === DEVICE ? (all.get(path) ?? { kind: "absent" }) : undefined);
}

export function follow(
  files: Readonly<Record<string, string | Buffer>>,
  environment?: Readonly<Record<string, string>>,
): GrubOutcome {
  const grubenv: Record<string, Buffer> = environment ? { grubenv: grubEnvironmentBlock(environment) } : {};
  return followGrub({
    start: { platform: "pc", prefix: `(${DEVICE})${FOLDER}`, script: "" },
    files: filesOf({ ...grubenv, ...files }),
    tools: { mkconfig: "grub-mkconfig", editenv: "grub-editenv" },
  });
}

export function judge(...given: Parameters<typeof follow>): Judgement {
  return worstOf(follow(...given).against);
}
