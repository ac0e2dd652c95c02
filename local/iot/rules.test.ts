import { expect, test } from "vitest";
import { ManualClock } from "../core/clock.ts";
import type { LambdaInvocation } from "../core/service.ts";
import type { LogEntry } from "./ports.ts";
import { Rules } from "./rules.ts";

const FUNCTION = "arn:function";
const ON_ERROR = "arn:on-error";

class World {
  readonly invocations: LambdaInvocation[] = [];
  readonly log: LogEntry[] = [];
  readonly broken = new Set<string>();
  readonly rules = new Rules({
    clock: new ManualClock(1000),
    log: (entry) => this.log.push(entry),
    lambda: {
      invoke: () => Promise.reject(new Error("not used")),
      enqueue: (invocation) => {
        if (this.broken.has(invocation.functionArn)) throw new Error("no such function");
        this.invocations.push(invocation);
      },
    },
  });

  /** The payloads that a rule with this SQL passes to the function for the message. */
  select(sql: string, payload: unknown, topic = "a/b"): unknown[] {
    this.rules.put({ name: "rule", sql, enabled: true, actions: [FUNCTION], errorAction: ON_ERROR });
    this.send(topic, JSON.stringify(payload));
    return this.invocations.splice(0).map((invocation) => invocation.payload);
  }

  send(topic: string, payload: string | Buffer): void {
    this.rules.dispatch({
      topic,
      payload: Buffer.from(payload),
      clientId: "client",
      principal: "certificate",
    });
  }
}

test.each([
  ["SELECT * FROM 'a/#'", { x: 1 }, [{ x: 1 }]],
  ["SELECT * FROM 'a/#'", [1, 2], [[1, 2]]],
  ["SELECT * FROM 'a/+'", "text", ["text"]],
  ["SELECT * FROM 'b/#'", {}, []],
  ["SELECT * FROM '+'", {}, []],
  ["SELECT x, y.z, missing FROM 'a/b'", { x: 1, y: { z: [2] } }, [{ x: 1, z: [2] }]],
  ["select x as \"the x\" from 'a/b'", { x: null }, [{ "the x": null }]],
  [
    "SELECT *, topic(2) AS second, 'it''s' AS text FROM 'a/b'",
    { x: 1 },
    [{ x: 1, second: "b", text: "it's" }],
  ],
  [
    "SELECT event, topic(2) AS agent FROM 'a/b'",
    { event: { x: 1 }, agent: "forged" },
    [{ event: { x: 1 }, agent: "b" }],
  ],
  ["SELECT event, topic(2) AS agent FROM 'a/b'", { agent: "forged", event: [] }, [{ event: [], agent: "b" }]],
  ["SELECT event, topic(2) AS agent FROM 'a/b'", { agent: "forged" }, [{ agent: "b" }]],
  ["SELECT topic(3) AS third, timestamp() AS at FROM 'a/b'", {}, [{ at: 1000 }]],
  ["SELECT clientid() AS client, principal() AS p FROM 'a/b'", {}, [{ client: "client", p: "certificate" }]],
  ["SELECT x FROM 'a/b' WHERE x > 1 AND NOT y = 'no'", { x: 2, y: "yes" }, [{ x: 2 }]],
  ["SELECT x FROM 'a/b' WHERE x > 1 AND NOT y = 'no'", { x: 2, y: "no" }, []],
  ["SELECT x FROM 'a/b' WHERE (x = 1 OR x = 2) AND y <> FALSE", { x: 2, y: true }, [{ x: 2 }]],
  ["SELECT x FROM 'a/b' WHERE x >= -1.5e0 AND x <= 3", { x: -1.5 }, [{ x: -1.5 }]],
  // Missing fields and other types satisfy neither a condition nor its opposite.
  ["SELECT x FROM 'a/b' WHERE missing = 1", { x: 1 }, []],
  ["SELECT x FROM 'a/b' WHERE missing <> 1", { x: 1 }, []],
  ["SELECT x FROM 'a/b' WHERE NOT missing = 1", { x: 1 }, []],
  ["SELECT x FROM 'a/b' WHERE NOT (missing = 1 AND x = 2)", { x: 1 }, []],
  ["SELECT x FROM 'a/b' WHERE x = '1'", { x: 1 }, []],
  ["SELECT x FROM 'a/b' WHERE constructor <> 'x'", { x: 1 }, []],
  ["SELECT x FROM 'a/b' WHERE x", { x: 1 }, []],
  ["SELECT x.from.select FROM 'a/b'", { x: { from: { select: 7 } } }, [{ select: 7 }]],
])("%s of %j selects %j", (sql, payload, expected) => {
  expect(new World().select(sql, payload)).toEqual(expected);
});

test.each([
  ["", "expected SELECT"],
  ["SELECT", "expected a value"],
  ["SELECT * FROM a", "FROM needs a topic filter"],
  ["SELECT * FROM 'a/#/b'", "is not a topic filter"],
  ["SELECT * FROM 'a/b+'", "is not a topic filter"],
  ["SELECT * FROM 'a", "not closed"],
  ["SELECT topic() FROM 'a'", "needs a name"],
  ["SELECT encode(x, 'base64') AS y FROM 'a'", "the functions are"],
  ["SELECT x FROM 'a' WHERE", "expected a value"],
  ["SELECT x FROM 'a' WHERE x = ", "expected a value"],
  ["SELECT x FROM 'a' WHERE x + 1 = 2", 'unexpected "+"'],
  ["SELECT x FROM 'a' WHERE x IN (1)", "expected the end"],
  ["SELECT x, x FROM 'a'", "selected twice"],
  ["SELECT topic(0) AS x FROM 'a'", "levels count from 1"],
  ["SELECT * FROM 'a'; DROP", 'unexpected ";"'],
  [`SELECT * FROM 'a' WHERE ${"(".repeat(60)}x${")".repeat(60)}`, "levels of nesting"],
])("the SQL %s is refused when it is provisioned", (sql, message) => {
  expect(() => new World().select(sql, {})).toThrow(
    expect.objectContaining({ code: "SqlParseException", message: expect.stringContaining(message) }),
  );
});

test("payloads that are not JSON go to the error action and the log, and later messages are not affected", () => {
  const world = new World();
  world.select("SELECT *, topic() AS t FROM 'a/b'", {});
  const malformed = [
    "",
    "{",
    "nul",
    "\ufeff{}",
    Buffer.from([0x22, 0xff, 0x22]),
    "[".repeat(1000) + "]".repeat(1000),
    "5",
  ];
  for (const payload of malformed) world.send("a/b", payload);
  world.send("a/b", '{"ok":true}');
  expect(world.invocations.map((invocation) => invocation.functionArn)).toEqual([
    ...malformed.map(() => ON_ERROR),
    FUNCTION,
  ]);
  expect(world.invocations[1]?.payload).toEqual({
    ruleName: "rule",
    topic: "a/b",
    clientId: "client",
    base64OriginalPayload: Buffer.from("{").toString("base64"),
    failures: [
      {
        failedAction: "SqlEvaluation",
        failedResource: "arn:aws:iot:local-1:000000000000:rule/rule",
        errorMessage: "the payload is not JSON in UTF-8",
      },
    ],
  });
  expect(world.log).toHaveLength(malformed.length);
});

test("a payload with the name of a value beside * goes to the error action: which of them wins is not documented", () => {
  const world = new World();
  for (const payload of [{ agent: "forged" }, { x: 1, agent: null }]) {
    expect(world.select("SELECT *, topic(2) AS agent FROM 'a/b'", payload)).toEqual([
      expect.objectContaining({
        failures: [expect.objectContaining({ errorMessage: expect.stringContaining('"agent"') })],
      }),
    ]);
  }
});

test("an action that fails is reported to the error action, and one that fails itself is logged", () => {
  const world = new World();
  world.broken.add(FUNCTION);
  expect(world.select("SELECT * FROM 'a/b'", { x: 1 })).toEqual([
    expect.objectContaining({
      failures: [
        { failedAction: "LambdaAction", failedResource: FUNCTION, errorMessage: "no such function" },
      ],
    }),
  ]);
  world.broken.add(ON_ERROR);
  expect(world.select("SELECT * FROM 'a/b'", { x: 1 })).toEqual([]);
  expect(world.log.at(-1)).toMatchObject({ level: "error", rule: "rule" });
});

test("a rule that is disabled, or that Basic Ingest names wrongly, does not run", () => {
  const world = new World();
  const rule = { name: "rule", sql: "SELECT * FROM 'a/b'", actions: [FUNCTION] };
  world.rules.put({ ...rule, enabled: false });
  world.send("a/b", "{}");
  world.send("$aws/rules/rule/a/b", "{}");
  world.send("$aws/rules/other/a/b", "{}");
  expect(world.invocations).toEqual([]);
  world.rules.put({ ...rule, enabled: true });
  world.send("$aws/rules/rule/any/topic", "{}");
  expect(world.invocations).toHaveLength(1);
});

test("a filter that begins with a wildcard does not see the topics of the cloud itself", () => {
  const world = new World();
  expect(world.select("SELECT * FROM '#'", {}, "$aws/events/presence/connected/x")).toEqual([]);
  expect(world.select("SELECT * FROM '+/events/#'", {}, "$aws/events/presence/connected/x")).toEqual([]);
  expect(world.select("SELECT * FROM '$aws/events/#'", {}, "$aws/events/presence/connected/x")).toEqual([{}]);
});
