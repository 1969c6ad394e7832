import { type MediaDescription, parseDescription, type SessionDescription, writeDescription } from './description.ts';
import { answerDirection, directionOf } from './direction.ts';
import {
  agreedAudio,
  audioLine,
  describe,
  type EarlierDescription,
  type LocalMedia,
  type NegotiatedAudio,
  PHONE_CODECS,
  type PhoneAudioFault,
  type ReadAudio,
  readAudio,
  refusedLine,
} from './phone-audio.ts';

/** An answer and what it means. Hand it back as `previous` for the next description of the same dialog, whoever offers then. */
export interface PhoneAnswer {
  readonly answer: string;
  readonly media: NegotiatedAudio;
  /** The answer as it was before it was written, for the version of the next one. */
  readonly description: SessionDescription;
}

/**
 * Answers a phone's offer (RFC 3264): the first audio line we can speak is taken, with one codec, telephone events and comfort
 * noise; every other line is refused with port 0, in its place.
 * @param previous our last description in this dialog: its o= line is carried on, one version higher when anything changed
 */
export function answerPhoneOffer(
  offerText: string,
  local: LocalMedia,
  previous?: EarlierDescription,
): PhoneAnswer | { readonly fault: PhoneAudioFault } {
  const offer = parseDescription(offerText);
  if ('fault' in offer) return offer;
  const chosen = chooseLine(offer, local);
  if ('reason' in chosen) return { fault: chosen };
  const { taken, read } = chosen;
  const media = agreedAudio(read, [], answerDirection(directionOf(taken, offer)));
  const [format] = read.codecs;
  const { telephoneEvent, comfortNoise } = read;
  const line = audioLine({ formats: [format], telephoneEvent, comfortNoise, direction: media.direction }, local, taken.protocol);
  const description = describe(
    offer.media.map((each) => (each === taken ? line : refusedLine(each))),
    read.ownAddress,
    previous,
  );
  return { answer: writeDescription(description), media, description };
}

/** The first line that can be taken; when there is none, why the most promising one could not. */
function chooseLine(
  offer: SessionDescription,
  local: LocalMedia,
): { readonly taken: MediaDescription; readonly read: ReadAudio } | PhoneAudioFault {
  let fault: PhoneAudioFault = { reason: 'no_common_codec', detail: 'no audio is offered' };
  for (const media of offer.media) {
    if (media.type !== 'audio' || media.port === 0) continue;
    const read = readAudio(offer, media, local.codecs ?? PHONE_CODECS, local);
    if (!('reason' in read)) return { taken: media, read };
    // A bad target says more than a codec we lack.
    if (fault.reason !== 'bad_target') fault = read;
  }
  return fault;
}
