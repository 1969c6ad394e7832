/** The services in a row: the caller's words, what to say, its sound. */
export const STAGES = ['transcription', 'chat', 'speech'] as const;
export type Stage = (typeof STAGES)[number];

export type StageFaultCode =
  /** The key is refused: 401, 403. */
  | 'unauthorized'
  /** No such path, or no such model: 404, 410. */
  | 'not_found'
  /** 3xx: redirects are not followed, a key would go along. */
  | 'redirected'
  /** The request is refused as it is: other 4xx. */
  | 'refused'
  | 'rate_limited'
  | 'server_error'
  | 'unreachable'
  /** No connection within its time. */
  | 'connect_timeout'
  /** Connected, and nothing came. */
  | 'timeout'
  /** Something came, and then nothing more. */
  | 'stalled'
  /** Speech comes slower than it is spoken; or the whole takes too long. */
  | 'too_slow'
  /** The answer ended before its end. */
  | 'cut_off'
  /** Another kind of content than was asked for: a web page, an MP3. */
  | 'wrong_content'
  /** The right kind, and not readable. */
  | 'bad_data'
  | 'too_large';

export interface StageFault {
  readonly stage: Stage;
  readonly code: StageFaultCode;
  /** For people; holds no key. */
  readonly message: string;
  readonly status?: number | undefined;
}

/** The same request may succeed at once. */
const TRANSIENT: ReadonlySet<StageFaultCode> = new Set([
  'rate_limited',
  'server_error',
  'unreachable',
  'connect_timeout',
  'timeout',
  'stalled',
  'too_slow',
  'cut_off',
  'bad_data',
]);

/** Nothing but another configuration helps. */
const PERMANENT: ReadonlySet<StageFaultCode> = new Set(['unauthorized', 'not_found', 'redirected', 'wrong_content']);

export function isTransient({ code }: StageFault): boolean {
  return TRANSIENT.has(code);
}

export function isPermanent({ code }: StageFault): boolean {
  return PERMANENT.has(code);
}

/** What a status other than 2xx means. */
export function codeOfStatus(status: number): StageFaultCode {
  if (status === 401 || status === 403) return 'unauthorized';
  if (status === 404 || status === 410) return 'not_found';
  if (status === 429) return 'rate_limited';
  if (status >= 300 && status < 400) return 'redirected';
  if (status === 408 || status === 425 || status >= 500 || status < 200) return 'server_error';
  return 'refused';
}

const WORDS: Readonly<Record<StageFaultCode, string>> = {
  unauthorized: 'refuses the key',
  not_found: 'has no such path or model',
  redirected: 'redirects; redirects are not followed',
  refused: 'refuses the request',
  rate_limited: 'is asked too much',
  server_error: 'failed',
  unreachable: 'cannot be reached',
  connect_timeout: 'does not accept the connection in time',
  timeout: 'does not answer in time',
  stalled: 'stopped answering',
  too_slow: 'answers too slowly',
  cut_off: 'broke off its answer',
  wrong_content: 'answers with something else than was asked for',
  bad_data: 'answers with something unreadable',
  too_large: 'answers with too much',
};

/** @param detail what the service said, or what was found; bounded and without the key */
export function stageFault(stage: Stage, code: StageFaultCode, detail?: string, status?: number): StageFault {
  const said = `The ${stage} service ${WORDS[code]}${status === undefined ? '' : ` (${status})`}`;
  return { stage, code, message: detail ? `${said}: ${detail}` : `${said}.`, ...(status === undefined ? {} : { status }) };
}
