// What is sealed in the page is what the native viewer seals.
import assert from "node:assert/strict";
import { test } from "node:test";
import { derive, make, unlock } from "../../page/sealed.js";

test("a key opens what it sealed for the same writer, and nothing else", async () => {
  const { secret, key } = await make("open sesame");
  const sealed = key.seal("hällo <b>", "Ana");
  const same = await unlock("open sesame", secret);
  assert.equal(same?.open(sealed, "Ana"), "hällo <b>");
  assert.equal(same?.open(sealed, "Ben"), undefined);
  assert.equal(same?.open({ ...sealed, bytes: sealed.bytes.replace(/^../, (byte) => (byte === "00" ? "01" : "00")) }, "Ana"), undefined);
  assert.equal(same?.open(key.seal("a\nb\u0007", "Ana"), "Ana"), "a b ");
  assert.equal(await unlock("close sesame", secret), undefined);
});

test("a line of the native viewer is opened", async () => {
  // As in client/src/room/secret.rs, made with OpenSSL: "hi" by Ana under a nonce of zeros.
  const salt = "00".repeat(16);
  const sealed = { nonce: "00".repeat(24), bytes: "c6943df485b4210db3005a8a4b2003c0b20f" };
  const key = await derive("open sesame", new Uint8Array(16));
  assert.equal(key.open(sealed, "Ana"), "hi");
  assert.ok(await unlock("open sesame", { salt, check: key.seal("instep", "") }));
});
