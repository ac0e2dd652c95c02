import { afterAll } from "vitest";
import { writeTally } from "./tally.ts";

afterAll(writeTally);
