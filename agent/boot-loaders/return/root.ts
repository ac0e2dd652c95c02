/** The root file system that a kernel's command line names. */

/** The last `root=` counts; identifiers in lower case. */
export function rootIn(words: readonly string[]): string | undefined {
  const root = words.findLast((word) => word.startsWith("root="))?.slice("root=".length);
  return root?.replace(/^["']|["']$/g, "").replace(/^(UUID|PARTUUID)=.*/, (text) => text.toLowerCase());
}

/** Two names of one kind that differ; names of different kinds may be of one file system. */
export function isOtherRoot(a: string | undefined, b: string | undefined): boolean {
  return a !== undefined && b !== undefined && a !== b && kindOf(a) === kindOf(b);
}

/** `uuid=`, `partuuid=`, `label=`, `/dev/mapper/`. */
function kindOf(root: string): string {
  return /^([a-z]+)=/i.exec(root)?.[1] ?? /^\/dev\/mapper\//.exec(root)?.[0] ?? root.replace(/[^/]*$/, "");
}
