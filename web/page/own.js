// A film of one's own: it plays from this device, and only the remote control is shared.

/** Events as of the other players: `state`, `described`, `over`. */
export class OwnPlayer extends EventTarget {
  /** @param {File} file @param {HTMLVideoElement} video @param {HTMLCanvasElement} canvas */
  constructor(file, video, canvas) {
    super();
    this.video = video;
    this.live = false;
    this.bytes = this.jumps = this.stalls = 0;
    this.pictures = undefined;
    /** It is its own. */
    this.buffer = true;
    /** @type {{ starts: number[], end: number } | undefined} */
    this.facts = undefined;
    this.address = URL.createObjectURL(file);
    this.onloaded = () => {
      this.facts = { starts: [0], end: video.duration };
      this.dispatchEvent(new Event("described"));
    };
    this.onerror = () => {
      const why = `this browser does not play ${file.name}`;
      this.dispatchEvent(new CustomEvent("over", { detail: why }));
    };
    video.addEventListener("loadedmetadata", this.onloaded);
    video.addEventListener("error", this.onerror);
    video.hidden = false;
    canvas.hidden = true;
    video.src = this.address;
  }

  position() {
    return this.video.currentTime;
  }

  /** @param {number} at seconds */
  seek(at) {
    this.video.currentTime = at;
  }

  pause() {}

  ahead() {
    const { buffered, currentTime } = this.video;
    for (let i = 0; i < buffered.length; i += 1) {
      if (currentTime >= buffered.start(i) - 0.1 && currentTime <= buffered.end(i)) return buffered.end(i) - currentTime;
    }
    return 0;
  }

  close() {
    this.video.removeEventListener("loadedmetadata", this.onloaded);
    this.video.removeEventListener("error", this.onerror);
    this.video.removeAttribute("src");
    this.video.load();
    URL.revokeObjectURL(this.address);
  }
}

/** How long a film is, seconds; fails where this browser does not play it.
 * @param {File} file @returns {Promise<number>} */
export function lengthOf(file) {
  return new Promise((resolve, reject) => {
    const video = document.createElement("video");
    const address = URL.createObjectURL(file);
    const done = () => {
      video.removeAttribute("src");
      URL.revokeObjectURL(address);
    };
    video.preload = "metadata";
    video.onloadedmetadata = () => {
      const { duration } = video;
      done();
      if (Number.isFinite(duration) && duration > 0) resolve(duration);
      else reject(new Error(`${file.name} does not say how long it is`));
    };
    video.onerror = () => {
      done();
      reject(new Error(`This browser does not play ${file.name}`));
    };
    video.src = address;
  });
}
