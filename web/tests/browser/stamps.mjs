// The test pattern bears the time of its capture (docs/TEST-PATTERN.md): a page on its machine shares its clock.

/** Milliseconds from capture to display of so many pictures of the page's video, sorted. */
export const stamps = (page, count) => page.evaluate((count) => new Promise((resolve) => {
  const video = document.querySelector("video");
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  const draw = canvas.getContext("2d", { willReadFrequently: true });
  const found = [];
  const look = () => {
    const now = Date.now();
    draw.drawImage(video, 0, 0);
    const { width, height } = canvas;
    const edge = (n, side, blocks) => Math.floor((n * side) / blocks);
    const bright = [];
    for (let row = 3; row < 9; row += 1) {
      for (let column = 3; column < 19; column += 1) {
        const [left, right] = [edge(column, width, 64), edge(column + 1, width, 64)];
        const [top, bottom] = [edge(row, height, 36), edge(row + 1, height, 36)];
        bright.push(draw.getImageData((left + right) >> 1, (top + bottom) >> 1, 1, 1).data[1]);
      }
    }
    const threshold = (Math.min(...bright) + Math.max(...bright)) / 2;
    const bits = bright.map((level) => (level > threshold ? 1n : 0n));
    const captured = Number(bits.slice(32, 80).reduce((sum, bit) => sum * 2n + bit, 0n));
    if (Math.abs(now - captured) < 60_000) found.push(now - captured);
    if (found.length < count) video.requestVideoFrameCallback(look);
    else resolve(found.sort((a, b) => a - b));
  };
  video.requestVideoFrameCallback(look);
}), count);
