const PARAMETER = "causeway.url=";
const SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i;
/** Neither a boot loader nor a shell gives any of these a meaning of its own. */
const PLAIN = /^[A-Za-z0-9.:/_~%[\]-]+$/;

/**
 * The address of a control plane as somebody typed it, `https` unless it says otherwise; nothing if it is
 * none, as a single word is.
 */
export function parseControlPlaneUrl(typed: string): string | undefined {
  const text = typed.trim();
  const hasScheme = SCHEME.test(text);
  if (!PLAIN.test(text) || !(hasScheme || text.includes("."))) return undefined;
  const url = URL.parse(hasScheme ? text : `https://${text}`);
  if (!url || !["http:", "https:"].includes(url.protocol)) return undefined;
  return url.origin + url.pathname.replace(/\/+$/, "");
}

/** What `causeway.url=` of the kernel's parameters says; the last one counts. */
export function urlOfCommandLine(commandLine: string): string | undefined {
  const words = commandLine.split(/\s+/).filter((word) => word.startsWith(PARAMETER));
  return parseControlPlaneUrl(words.at(-1)?.slice(PARAMETER.length) ?? "");
}
