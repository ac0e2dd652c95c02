import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readlinkSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";

const run = (...words: string[]) => execFileSync(words[0] ?? "", words.slice(1), { encoding: "utf8" });
const networkOf = (pid: string) => readlinkSync(`/proc/${pid}/ns/net`);

/**
 * Answers `/200` with that status, and so on; `/from/ADDRESS` with 200 only if that is who asks; `/garbage`
 * with what is no HTTP; `/flood` with headers without an end; and nothing else ever.
 */
const SERVER = `const server = require("node:http").createServer((request, response) => {
  const { url, socket } = request;
  const status = Number(url.slice(1));
  if (status) response.writeHead(status, { location: "/200" }).end();
  if (url.startsWith("/from/")) response.writeHead(url.endsWith("/" + socket.remoteAddress) ? 200 : 403).end();
  if (url === "/garbage") socket.write("\\0\\x1b[2Jno HTTP\\r\\n\\r\\n");
  if (url !== "/flood") return;
  socket.write("HTTP/1.1 200 OK\\r\\n");
  const more = () => socket.write("x-more: " + "x".repeat(1000) + "\\r\\n", () => setImmediate(more));
  socket.on("error", () => {});
  more();
}).listen(80, "::", () => console.log("listening"));`;

/**
 * For tests: what a machine would be at this bridge, 198.51.100.7 and 2001:db8:7::7 with an HTTP server, as a
 * process in a network namespace of its own. Needs root.
 */
export async function attachHttpNeighbour(bridge: string): Promise<Disposable & { pid: string }> {
  const words = ["--net", "sh", "-c", 'read _; exec "$0" -e "$1"', process.execPath, SERVER];
  const neighbour = spawn("unshare", words, { stdio: ["pipe", "pipe", "inherit"] });
  const pid = String(neighbour.pid);
  while (networkOf(pid) === networkOf("self")) await wait(20);
  const end = `cwn${pid}`;
  run("ip", "link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", pid);
  run("ip", "link", "set", end, "master", bridge, "up");
  const within = (...rest: string[]) => run("nsenter", `--net=/proc/${pid}/ns/net`, "ip", ...rest);
  within("address", "add", "198.51.100.7/24", "dev", "eth0");
  within("address", "add", "2001:db8:7::7/64", "dev", "eth0", "nodad");
  within("link", "set", "eth0", "up");
  neighbour.stdin?.end("\n");
  await once(neighbour.stdout ?? neighbour, "data");
  return { pid, [Symbol.dispose]: () => void neighbour.kill("SIGKILL") };
}
