// A relay and its origins, in processes of their own, for whoever looks at it from outside.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** The programs in the folder `bin`, and what they say where something is wrong. */
export class Site {
  children = new Set();
  origins = [];
  folder = mkdtempSync(join(tmpdir(), "instep-site-"));

  constructor(bin) {
    this.bin = bin;
  }

  start(program, ...flags) {
    const env = { ...process.env, RUST_LOG: "error" };
    const child = spawn(join(this.bin, program), flags, { stdio: ["ignore", "pipe", "pipe"], env });
    child.stderr.pipe(process.stderr);
    this.children.add(child);
    child.once("exit", () => this.children.delete(child));
    return child;
  }

  stop(child) {
    return new Promise((resolve) => {
      child.once("exit", resolve);
      child.kill();
    });
  }

  /** A server of something. */
  async origin(...flags) {
    const port = await freePort();
    this.start("server", ...flags, "--listen", `127.0.0.1:${port}`, "--no-announce").stdout.resume();
    this.origins.push("--origin", `127.0.0.1:${port}`);
  }

  /** A relay of all of them, when it has so many streams and knows what is in one of them. */
  async relay(count, movie) {
    const [port, http] = [await freePort(), await freePort()];
    this.native = `127.0.0.1:${port}`;
    this.url = `http://127.0.0.1:${http}`;
    this.start("cache-server", ...this.origins, "--listen", this.native, "--http", `127.0.0.1:${http}`,
      "--no-announce", "--cache-dir", join(this.folder, "cache")).stdout.resume();
    for (;;) {
      try {
        const streams = await (await fetch(`${this.url}/streams.json`)).json();
        const isKnown = streams.some(({ name, recording }) => name === movie && recording?.bytes > 0);
        if (streams.length >= count && isKnown) return;
      } catch {
        // Not yet.
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async close() {
    await Promise.all([...this.children].map((child) => this.stop(child)));
    rmSync(this.folder, { recursive: true });
  }
}
