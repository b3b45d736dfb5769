// What members of a room say to each other and the relay cannot read (docs/PROTOCOL.md, sealed lines):
// as the native viewer does it. Browsers have no cipher of their own on http.
import { argon2idAsync, xchacha20poly1305 } from "./noble.js";

/** Of Argon2id: memory in KiB, passes, lanes, bytes of the key. */
const COST = { m: 19 * 1024, t: 2, p: 1, dkLen: 32 };
/** What is sealed in a room's secret, for nobody's name. */
const CHECK = "instep";

/**
 * Bytes are hexadecimal digits.
 * @typedef {{ nonce: string, bytes: string }} Sealed
 * @typedef {{ salt: string, check: Sealed }} Secret
 */

/** @param {Uint8Array} bytes */
const digits = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
/** @param {string} text */
const bytes = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
/** @param {string} text */
const utf8 = (text) => new TextEncoder().encode(text);
/** @param {number} count */
const random = (count) => crypto.getRandomValues(new Uint8Array(count));

/** The key of a room. */
export class Key {
  /** @param {Uint8Array} key */
  constructor(key) {
    this.key = key;
  }

  /** Seals a text of this writer.
   * @param {string} text @param {string} writer @returns {Sealed} */
  seal(text, writer) {
    const nonce = random(24);
    return { nonce: digits(nonce), bytes: digits(xchacha20poly1305(this.key, nonce, utf8(writer)).encrypt(utf8(text))) };
  }

  /** Opens what this writer sealed; undefined where that cannot be.
   * @param {Sealed} sealed @param {string} writer */
  open(sealed, writer) {
    try {
      const text = xchacha20poly1305(this.key, bytes(sealed.nonce), utf8(writer)).decrypt(bytes(sealed.bytes));
      // Nobody has looked at it on the way.
      return new TextDecoder("utf-8", { fatal: true }).decode(text).replace(/\p{Cc}/gu, " ");
    } catch {
      return undefined;
    }
  }
}

/** @param {string} passphrase @param {Uint8Array} salt */
export async function derive(passphrase, salt) {
  return new Key(await argon2idAsync(utf8(passphrase), salt, COST));
}

/** The secret of a new room. Takes a second or so, so that guessing does, too.
 * @param {string} passphrase @returns {Promise<{ secret: Secret, key: Key }>} */
export async function make(passphrase) {
  const salt = random(16);
  const key = await derive(passphrase, salt);
  return { secret: { salt: digits(salt), check: key.seal(CHECK, "") }, key };
}

/** The key of somebody else's room, if this is its passphrase. Takes as long.
 * @param {string} passphrase @param {Secret} secret */
export async function unlock(passphrase, secret) {
  const key = await derive(passphrase, bytes(secret.salt));
  return key.open(secret.check, "") === CHECK ? key : undefined;
}
