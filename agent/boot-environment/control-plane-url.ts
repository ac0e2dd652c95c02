const PARAMETER = "causeway.url=";
const SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i;
/** No boot loader or shell gives any of these characters a special meaning. */
const PLAIN = /^[A-Za-z0-9.:/_~%[\]-]+$/;

/**
 * The control plane's URL from what a person typed; `https` unless they typed a scheme. Returns `undefined`
 * if it is not an address, such as a single word.
 */
export function parseControlPlaneUrl(typed: string): string | undefined {
  const text = typed.trim();
  const hasScheme = SCHEME.test(text);
  if (!PLAIN.test(text) || !(hasScheme || text.includes("."))) return undefined;
  const url = URL.parse(hasScheme ? text : `https://${text}`);
  if (!url || !["http:", "https:"].includes(url.protocol)) return undefined;
  return url.origin + url.pathname.replace(/\/+$/, "");
}

/** The value of the last `causeway.url=` in the kernel's parameters. */
export function urlOfCommandLine(commandLine: string): string | undefined {
  const words = commandLine.split(/\s+/).filter((word) => word.startsWith(PARAMETER));
  return parseControlPlaneUrl(words.at(-1)?.slice(PARAMETER.length) ?? "");
}
