import { userInfo } from "node:os";
import { expect, test } from "vitest";
import { consoleUser } from "./console-user.ts";

test("a user who became root through sudo keeps the name in the audit", () => {
  expect(consoleUser({ SUDO_USER: "ada" })).toBe("ada");
  for (const environment of [{}, { SUDO_USER: "" }])
    expect(consoleUser(environment)).toBe(userInfo().username);
});
