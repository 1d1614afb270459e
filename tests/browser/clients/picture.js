/** The mean colours of a grid of `size` by `size` over a video track's next picture: rows of [r, g, b]. */
export async function colours(track, size = 4) {
  const video = document.createElement("video");
  video.muted = true;
  video.srcObject = new MediaStream([track]);
  await video.play();
  await new Promise((done) => video.requestVideoFrameCallback(done));
  const canvas = new OffscreenCanvas(size, size);
  const drawing = canvas.getContext("2d");
  drawing.imageSmoothingQuality = "high";
  drawing.drawImage(video, 0, 0, size, size);
  const { data } = drawing.getImageData(0, 0, size, size);
  const cells = [];
  for (let n = 0; n < data.length; n += 4) cells.push([data[n], data[n + 1], data[n + 2]]);
  return { width: video.videoWidth, height: video.videoHeight, cells };
}
