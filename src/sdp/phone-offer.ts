import { type MediaDescription, parseDescription, type SessionDescription, writeDescription } from './description.ts';
import { answerDirection, type Direction, directionOf } from './direction.ts';
import {
  agreedAudio,
  audioLine,
  describe,
  type EarlierDescription,
  type LocalMedia,
  type NegotiatedAudio,
  PHONE_CODECS,
  type PhoneAudioFault,
  type PhoneFormat,
  readAudio,
  refusedLine,
  staticFormat,
} from './phone-audio.ts';

/** An offer of ours. Its answer is read with it; it is also the `previous` of the dialog's next description. */
export interface PhoneOffer {
  readonly offer: string;
  readonly description: SessionDescription;
  readonly local: LocalMedia;
  readonly formats: readonly PhoneFormat[];
  readonly direction: Direction;
}

export interface PhoneOfferOptions {
  /** `sendrecv` when absent; `sendonly` or `inactive` puts the phone on hold. */
  readonly direction?: Direction;
  /** Our last description in this dialog: its lines are kept, its o= line carried on. */
  readonly previous?: EarlierDescription;
  /** What was agreed before: it alone is offered then, under its numbers, so that hold and resume change no codec. */
  readonly current?: NegotiatedAudio;
}

/** What dynamic numbers begin with; 101 is what nearly every phone calls telephone events. */
const TELEPHONE_EVENT = 101;

/**
 * An offer of one audio line with telephone events, for a call that we place, for an INVITE that came without an offer, and for
 * holding and resuming a call (RFC 3264 §5, §8.4).
 */
export function offerPhone(local: LocalMedia, { direction = 'sendrecv', previous, current }: PhoneOfferOptions = {}): PhoneOffer {
  const formats = current
    ? [{ codec: current.codec, payloadType: current.payloadType }, ...current.alternatives]
    : (local.codecs ?? PHONE_CODECS).map(staticFormat);
  const telephoneEvent = current ? current.telephoneEventPayloadType : TELEPHONE_EVENT;
  const line = audioLine(
    { formats, telephoneEvent, comfortNoise: current?.comfortNoisePayloadType, direction },
    local,
    protocolOf(previous),
  );
  const description = describe(inPlace(line, previous), local.address, previous);
  return { offer: writeDescription(description), description, local, formats, direction };
}

/** RFC 3264 §8: no line of a dialog ever goes away; what was refused stays refused. */
function inPlace(line: MediaDescription, previous: EarlierDescription | undefined): readonly MediaDescription[] {
  const live = previous && liveLine(previous.description);
  if (!previous || live === undefined) return [line];
  return previous.description.media.map((each, index) => (index === live ? line : refusedLine(each)));
}

function liveLine({ media }: SessionDescription): number | undefined {
  const index = media.findIndex(({ type, port }) => type === 'audio' && port !== 0);
  return index < 0 ? undefined : index;
}

function protocolOf(previous: EarlierDescription | undefined): string {
  const live = previous && liveLine(previous.description);
  return (live === undefined ? undefined : previous?.description.media[live]?.protocol) ?? 'RTP/AVP';
}

/** Reads the phone's answer to an offer of ours. */
export function readPhoneAnswer(
  answerText: string,
  offer: PhoneOffer,
): { readonly media: NegotiatedAudio } | { readonly fault: PhoneAudioFault } {
  const answer = parseDescription(answerText);
  if ('fault' in answer) return answer;
  const index = liveLine(offer.description) ?? 0;
  const media = answer.media[index];
  if (media?.type !== 'audio') return { fault: { reason: 'malformed', detail: 'the answer has no line for the audio' } };
  if (media.port === 0) return { fault: { reason: 'no_common_codec', detail: 'the audio is refused' } };
  const codecs = offer.formats.map(({ codec }) => codec);
  const read = readAudio(answer, media, codecs, offer.local);
  if ('reason' in read) return { fault: read };
  const [, ...alternatives] = read.codecs;
  return { media: agreedAudio(read, alternatives, agreedDirection(offer.direction, answerDirection(directionOf(media, answer)))) };
}

/** What both want: an answer may only take away (RFC 3264 §6.1), and one that adds is read as if it had not. */
function agreedDirection(offered: Direction, answered: Direction): Direction {
  const sends = isSending(offered) && isSending(answered);
  const receives = isReceiving(offered) && isReceiving(answered);
  if (sends) return receives ? 'sendrecv' : 'sendonly';
  return receives ? 'recvonly' : 'inactive';
}

function isSending(direction: Direction): boolean {
  return direction === 'sendrecv' || direction === 'sendonly';
}

function isReceiving(direction: Direction): boolean {
  return direction === 'sendrecv' || direction === 'recvonly';
}
