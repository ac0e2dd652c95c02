/** Text of a terminal as an SVG that is readable on light and dark pages. */

const COLUMNS = 110;
const FONT_SIZE = 13;
/** Each line is set to this width, whichever font a viewer has. */
const CHARACTER_WIDTH = 7.8;
const LINE_HEIGHT = 19;
const PADDING = 18;
const COLORS = { background: "#0d1117", border: "#30363d", text: "#e6edf3", command: "#7ee787" };
const FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace";

/** A line that begins with `$ ` is what was typed. Lines that are too long continue below, indented. */
export function terminalPicture(text: string): string {
  const lines = text.trimEnd().split("\n").flatMap(wrapped);
  const width = Math.ceil(2 * PADDING + COLUMNS * CHARACTER_WIDTH);
  const height = 2 * PADDING + lines.length * LINE_HEIGHT;
  const { background, border, text: color } = COLORS;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    `<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8" fill="${background}" stroke="${border}"/>`,
    `<g font-family="${FONTS}" font-size="${FONT_SIZE}" fill="${color}" xml:space="preserve">`,
    ...lines.map((line, index) => lineOf(line, PADDING + (index + 0.75) * LINE_HEIGHT)),
    "</g>",
    "</svg>",
    "",
  ].join("\n");
}

function lineOf(line: string, y: number): string {
  const shown = line.trimStart();
  if (shown === "") return "";
  const x = PADDING + (line.length - shown.length) * CHARACTER_WIDTH;
  const color = line.startsWith("$ ") ? ` fill="${COLORS.command}"` : "";
  const length = (shown.length * CHARACTER_WIDTH).toFixed(1);
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" textLength="${length}" lengthAdjust="spacingAndGlyphs"${color}>${escaped(shown)}</text>`;
}

function wrapped(line: string): string[] {
  if (line.length <= COLUMNS) return [line];
  const space = line.lastIndexOf(" ", COLUMNS);
  const indent = /^ */.exec(line)?.[0].length ?? 0;
  const end = space > indent ? space : COLUMNS;
  const rest = line.slice(end).trimStart();
  return [line.slice(0, end), ...wrapped(" ".repeat(indent + 2) + rest)];
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
