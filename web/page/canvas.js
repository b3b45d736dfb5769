// Pictures that are JPEGs: drawn on a canvas when they are due.

/** Pictures that may wait; older ones go. */
const WAITING = 256;

export class Pictures {
  /** @param {HTMLCanvasElement} canvas @param {() => number | undefined} clock media time, seconds */
  constructor(canvas, clock) {
    this.canvas = canvas;
    this.clock = clock;
    /** @type {{ at: number, jpeg: Blob }[]} in order of their time */
    this.queue = [];
    this.drawn = 0;
    this.dropped = 0;
    this.drawing = false;
    /** Time of the picture on the canvas, seconds. */
    this.shown = Number.NaN;
    /** @type {((at: number) => void) | undefined} */
    this.onpicture = undefined;
    this.frame = requestAnimationFrame(() => this.step());
  }

  /** @param {number} at seconds @param {Uint8Array} jpeg */
  put(at, jpeg) {
    const blob = new Blob([/** @type {BlobPart} */ (jpeg)], { type: "image/jpeg" });
    let place = this.queue.length;
    while (place > 0 && this.queue[place - 1].at > at) place -= 1;
    this.queue.splice(place, 0, { at, jpeg: blob });
    while (this.queue.length > WAITING) {
      this.queue.shift();
      this.dropped += 1;
    }
  }

  clear() {
    this.queue = [];
  }

  step() {
    this.frame = requestAnimationFrame(() => this.step());
    const now = this.clock();
    if (this.drawing || now === undefined) return;
    let due;
    while (this.queue[0] && this.queue[0].at <= now) {
      if (due) this.dropped += 1;
      due = this.queue.shift();
    }
    if (due) void this.draw(due);
  }

  /** @param {{ at: number, jpeg: Blob }} picture */
  async draw(picture) {
    this.drawing = true;
    try {
      const bitmap = await createImageBitmap(picture.jpeg);
      if (this.canvas.width !== bitmap.width) this.canvas.width = bitmap.width;
      if (this.canvas.height !== bitmap.height) this.canvas.height = bitmap.height;
      this.canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
      bitmap.close();
      this.drawn += 1;
      this.shown = picture.at;
      this.onpicture?.(picture.at);
    } catch {
      this.dropped += 1;
    } finally {
      this.drawing = false;
    }
  }

  close() {
    cancelAnimationFrame(this.frame);
    this.queue = [];
  }
}
