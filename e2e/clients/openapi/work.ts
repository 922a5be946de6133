// Prints what is on a unit's list, with the types that openapi-typescript made of the document.
//
//   node work.js https://127.0.0.1:7444 ca.pem unit.pem unit.key
import { readFileSync } from "node:fs";
import { request } from "node:https";
import createClient from "openapi-fetch";
import type { paths } from "./generated/schema.js";

const [address, roots, certificate, key] = process.argv.slice(2);
if (!address || !roots || !certificate || !key) {
  console.error("usage: node work.js ADDRESS ROOTS CERTIFICATE KEY");
  process.exit(2);
}

// Node's own fetch takes no client certificate.
const identity = { ca: readFileSync(roots), cert: readFileSync(certificate), key: readFileSync(key) };
async function overTLS(asked: Request): Promise<Response> {
  const body = Buffer.from(await asked.arrayBuffer());
  return new Promise((resolve, reject) => {
    const call = request(asked.url, { method: asked.method, headers: Object.fromEntries(asked.headers), ...identity }, (answer) => {
      const parts: Buffer[] = [];
      answer.on("data", (part: Buffer) => parts.push(part));
      answer.on("end", () => {
        const headers = Object.entries(answer.headers).map(([name, value]): [string, string] => [name, String(value)]);
        resolve(new Response(Buffer.concat(parts), { status: answer.statusCode ?? 500, headers }));
      });
    });
    call.on("error", reject);
    call.end(body);
  });
}

const client = createClient<paths>({ baseUrl: address, fetch: overTLS });
const { data, error } = await client.GET("/v1/referral/work", {
  params: { header: { "Lianhu-Purpose": "SERVICE_DELIVERY" }, query: { pageSize: 10 } },
});
if (error || !data) {
  console.error(error?.details.map((detail) => detail.reason).find((reason) => reason) ?? "no answer");
  process.exit(1);
}
console.log(`typescript: ${data.items.length} on the list`);
