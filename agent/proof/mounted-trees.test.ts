import { expect, test } from "vitest";
import { chooseTrees, type SeenMount } from "./mounted-trees.ts";

const seen = (mountPoint: string, change: Partial<SeenMount> = {}): SeenMount => ({
  ...{ id: "20", mountPoint, type: "ext4", root: "/", leadsTo: "8:1", uuid: "AAAA-1", mayBeEncrypted: false },
  ...change,
});

test("a file system that is mounted several times is looked through once, from its top", () => {
  const mounts = [seen("/srv/bind", { root: "/var/www" }), seen("/"), seen("/mnt")];
  const places = ["/", "/srv/bind", "/mnt"];
  expect(chooseTrees(mounts, places)).toEqual({
    trees: [
      {
        ...{ fileSystem: "aaaa-1", place: "/", mountId: "20", prefix: "" },
        mounts: new Set(["srv/bind", "mnt"]),
      },
    ],
    leftOut: [],
  });
});

test("where only folders of a file system are mounted, each is looked through once", () => {
  const mounts = [
    seen("/a", { root: "/data/a" }),
    seen("/ab", { root: "/data/ab" }),
    seen("/a-too", { root: "/data/a/deep" }),
  ];
  expect(chooseTrees(mounts, []).trees.map(({ prefix }) => prefix)).toEqual(["data/a", "data/ab"]);
});

test("subvolumes of one btrfs are trees of their own, also below each other", () => {
  const btrfs = { type: "btrfs", uuid: "b" };
  const mounts = [
    seen("/", { ...btrfs, root: "/@", leadsTo: "0:30" }),
    seen("/home", { ...btrfs, root: "/@/home", leadsTo: "0:31" }),
  ];
  const places = ["/", "/home", "/home/net", "/homes"];
  expect(chooseTrees(mounts, places).trees).toMatchObject([
    { fileSystem: "b", place: "/", prefix: "@", mounts: new Set(["home", "home/net", "homes"]) },
    { fileSystem: "b", place: "/home", prefix: "@/home", mounts: new Set(["net"]) },
  ]);
});

test("what a freeze does not bring to the disk, or another kernel may not find or read, is left out and named", () => {
  const mounts = [
    seen("/boot/efi", { type: "vfat", leadsTo: "8:2" }),
    seen("/", { uuid: undefined }),
    seen("/h\xf6me\n", { leadsTo: "8:3", mayBeEncrypted: true }),
  ];
  expect(chooseTrees(mounts, [])).toEqual({
    trees: [],
    leftOut: [
      { place: "/boot/efi", why: "vfat is not compared" },
      { place: "/", why: "it has no UUID" },
      { place: "/h\\xf6me\\x0a", why: "it can have encrypted folders" },
    ],
  });
});
