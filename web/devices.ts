/** Fills a list of devices and keeps what was chosen. Browsers name devices only after one was allowed. */
export async function listDevices(kind: 'audioinput' | 'audiooutput', list: HTMLSelectElement): Promise<void> {
  const chosen = list.value;
  const devices = (await navigator.mediaDevices.enumerateDevices()).filter((device) => device.kind === kind);
  const options = devices.map(
    ({ deviceId, label }, n) => new Option(label || `${kind === 'audioinput' ? 'Microphone' : 'Speaker'} ${n + 1}`, deviceId),
  );
  list.replaceChildren(...(options.length > 0 ? options : [new Option('System default', '')]));
  if ([...list.options].some(({ value }) => value === chosen)) list.value = chosen;
}

/** @throws DOMException NotAllowedError, NotFoundError, NotReadableError */
export function openMicrophone(deviceId: string): Promise<MediaStream> {
  return navigator.mediaDevices.getUserMedia({
    audio: {
      ...(deviceId === '' || deviceId === 'default' ? {} : { deviceId: { exact: deviceId } }),
      echoCancellation: true,
      noiseSuppression: true,
      autoGainControl: true,
    },
  });
}
