// What plays in a room, as a room sees it: something with a position that can be played, paused, sought
// and hurried. Whatever offers that can be watched together.

/** Near the end there is nothing more to wait for, seconds. */
const END = 0.35;

/**
 * @typedef {object} Screen
 * @property {() => import("./follow.js").Seen} seen
 * @property {() => number} ahead what it has ahead of its position, seconds
 * @property {() => void} play
 * @property {() => void} pause
 * @property {(to: number) => void} seek seconds
 * @property {(rate: number, pitch: boolean) => void} rate and whether the pitch is kept
 */

/** A video element, whatever fills it. @implements {Screen} */
export class VideoScreen {
  /** @param {HTMLVideoElement} video @param {{ end: () => number, ahead: () => number, start: () => void }} more
   * the end of the film, seconds; what is ahead; and how it is let play */
  constructor(video, more) {
    this.video = video;
    this.more = more;
  }

  seen() {
    const { video } = this;
    const over = video.ended || video.currentTime >= this.more.end() - END;
    return {
      position: video.currentTime, paused: video.paused, seeking: video.seeking,
      ready: video.readyState >= 3 || (over && video.readyState >= 2),
    };
  }

  ahead() {
    return this.more.ahead();
  }

  play() {
    this.more.start();
  }

  pause() {
    this.video.pause();
  }

  /** @param {number} to */
  seek(to) {
    this.video.currentTime = Math.max(0, Math.min(to, this.more.end() - 0.03));
  }

  /** @param {number} rate @param {boolean} pitch */
  rate(rate, pitch) {
    const { video } = this;
    if (video.preservesPitch !== pitch) video.preservesPitch = pitch;
    if (video.playbackRate !== rate) video.playbackRate = rate;
  }
}

/** Pictures without sound, which are drawn by the page's clock. @implements {Screen} */
export class PicturesScreen {
  /** @param {import("./recorded.js").RecordedPlayer} player */
  constructor(player) {
    this.player = player;
  }

  seen() {
    const { player } = this;
    const ready = player.hasNow();
    return { position: player.position(), paused: player.since === undefined, seeking: false, ready };
  }

  ahead() {
    return this.player.ahead();
  }

  play() {
    this.player.pause(false);
  }

  pause() {
    this.player.pause(true);
  }

  /** @param {number} to */
  seek(to) {
    this.player.seek(to);
  }

  /** @param {number} rate */
  rate(rate) {
    this.player.hurry(rate);
  }
}
