/** What went wrong, in words that help, and what the page offers. */
export interface Failure {
  readonly title: string;
  readonly text: string;
  readonly action?:
    | { readonly type: 'key' }
    | { readonly type: 'link'; readonly label: string; readonly href: string }
    | { readonly type: 'listen'; readonly label: string };
}

/** The gateway refused the call. */
export class CallRefused extends Error {
  readonly status: number;
  readonly retryAfterS: number | undefined;

  constructor(status: number, message: string, retryAfterS?: number) {
    super(message);
    this.status = status;
    this.retryAfterS = retryAfterS;
  }
}

/** The call was set up, and no way for its audio was found. */
export class NoMediaPath extends Error {}

/** The call lived, and the gateway does not any more. */
export class GatewayGone extends Error {}

/** The device was unplugged, or taken away by the system, in the middle of a call. */
export class MicrophoneGone extends Error {}

/** Why there can be no microphone on this page, before anybody is asked; undefined when there can. */
export function insecurePage(page: {
  readonly isSecure: boolean;
  readonly hasDevices: boolean;
  readonly host: string;
}): Failure | undefined {
  if (page.isSecure && page.hasDevices) return undefined;
  const href = `https://${page.host}/`;
  return {
    title: 'Browsers give the microphone to secure pages only',
    text: 'Open the same page by https. The certificate is the gateway’s own, so the browser will ask once whether you trust it.',
    action: { type: 'link', label: href, href },
  };
}

/** @param thrown by getUserMedia, fetch, or the peer connection */
export function failureOf(thrown: unknown): Failure {
  if (thrown instanceof CallRefused) return refusal(thrown);
  if (thrown instanceof GatewayGone) {
    return {
      title: 'The gateway is gone',
      text: 'It ended, or the network to it did, in the middle of the call. Press Talk to try again.',
    };
  }
  if (thrown instanceof MicrophoneGone) {
    return { title: 'The microphone is gone', text: 'You still hear the agent. Choose another microphone under Devices.' };
  }
  if (thrown instanceof NoMediaPath) {
    return {
      title: 'No way for the audio',
      text: 'The gateway answered, but no packets came through, neither by UDP nor by TCP. A firewall may block the relay’s port (3478 unless configured).',
    };
  }
  const name = thrown instanceof Error ? thrown.name : '';
  if (name === 'NotAllowedError' || name === 'SecurityError') {
    return {
      title: 'The microphone is blocked',
      text: 'Allow it in the browser’s address bar, and press Talk again.',
      action: { type: 'listen', label: 'Go on without a microphone' },
    };
  }
  if (name === 'NotFoundError' || name === 'OverconstrainedError') {
    return {
      title: 'No microphone was found',
      text: 'Plug one in, or choose another under Devices.',
      action: { type: 'listen', label: 'Go on without a microphone' },
    };
  }
  if (name === 'NotReadableError') {
    return {
      title: 'The microphone is in use',
      text: 'Another program holds it. Close that one, and press Talk again.',
      action: { type: 'listen', label: 'Go on without a microphone' },
    };
  }
  if (thrown instanceof TypeError) {
    return { title: 'The gateway does not answer', text: 'It may be down, or this machine has no network. Press Talk to try again.' };
  }
  return { title: 'The call failed', text: thrown instanceof Error ? thrown.message : String(thrown) };
}

function refusal({ status, message, retryAfterS }: CallRefused): Failure {
  if (status === 401 || status === 403) return { title: 'The gateway asks for a key', text: message, action: { type: 'key' } };
  if (status === 503 || status === 429) {
    const when = retryAfterS === undefined ? 'in a moment' : `in ${retryAfterS} s`;
    return { title: 'All lines are busy', text: `${sentence(message)} Try again ${when}.` };
  }
  return { title: 'The gateway refused the call', text: message };
}

function sentence(text: string): string {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
