import { expect, test } from 'vitest';
import { LiveModel } from '../../../src/realtime/live-model.ts';
import type { RealtimeModel } from '../../../src/realtime/model.ts';

const connect: RealtimeModel['connect'] = () => {
  throw new Error('not called');
};

test('a model that may be replaced is in all it says of itself the one that it stands for', () => {
  const german: Required<RealtimeModel> = { name: 'german', language: 'de', takesTurns: true, uplinkWhileSpeaking: 'duck', connect };
  const plain: RealtimeModel = { name: 'plain', connect };
  const said = ({ name, language, takesTurns, uplinkWhileSpeaking }: RealtimeModel) => ({
    name,
    language,
    takesTurns,
    uplinkWhileSpeaking,
  });
  const live = new LiveModel(plain);
  expect(said(live)).toEqual({ name: 'plain', language: undefined, takesTurns: false, uplinkWhileSpeaking: 'auto' });
  live.replace(german);
  expect(said(live)).toEqual(said(german));
});
