/** What an operation of the API is. */
import * as z from "zod";

export type RouteAuth =
  /** A user's bearer token. */
  | "user"
  /** The agent's temporary AWS credentials (SigV4). */
  | "agent"
  /** Anyone; the operation itself checks the request. */
  | "none";

export interface Route {
  method: "GET" | "POST" | "PATCH" | "DELETE";
  /** With `{parameters}`, as API Gateway writes them. */
  path: string;
  /** One sentence for the OpenAPI document. */
  summary: string;
  auth: RouteAuth;
  /** The Lambda function that serves it: `functions/api/<handler>.ts`. */
  handler: string;
  query?: z.ZodObject;
  body?: z.ZodType;
  response: z.ZodType;
  status: 200 | 201 | 202;
}

export const Page = z.strictObject({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  /** From the previous page. */
  cursor: z.string().max(2000).optional(),
});

/** One page of a list. */
export const list = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), cursor: z.string().nullable() });
