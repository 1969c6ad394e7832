import { describe, expect, it } from 'vitest';
import { formatNodeId, makeIncarnation, makeNodeId, parseNodeId } from '../../../src/ownership/node-id.ts';
import { makeSessionId, sessionNode } from '../../../src/ownership/session-id.ts';

describe('a node id', () => {
  it.each([
    ['0', 0],
    ['7', 7],
    ['65535', 65535],
    ['1.0', 65536],
    ['255.65535', 0xffffff],
  ])('%s is read and written', (text, nodeId) => {
    expect(parseNodeId(text)).toBe(nodeId);
    expect(formatNodeId(nodeId)).toBe(text);
  });

  it('of cluster 0 may be written with its cluster', () => {
    expect(parseNodeId('0.9')).toBe(9);
  });

  it.each(['', '65536', '256.1', '01', '1.02', '-1', '1.2.3', ' 1', '1e3', '1.'])('%j is none', (text) => {
    expect(parseNodeId(text)).toBeUndefined();
  });

  it('is made of parts that fit', () => {
    expect(makeNodeId(2, 17)).toBe(0x20011);
    expect(makeNodeId(256, 0)).toBeUndefined();
    expect(makeNodeId(0, 1.5)).toBeUndefined();
  });

  it('comes with an incarnation that is never 0', () => {
    expect(makeIncarnation()).toBeGreaterThan(0);
  });
});

describe('a session id', () => {
  it('hints at its node and cannot be guessed', () => {
    const id = makeSessionId(0x20011);
    expect(id).toMatch(/^rtc_2\.17_[A-Za-z0-9_-]{22}$/);
    expect(sessionNode(id)).toBe(0x20011);
    expect(makeSessionId(0x20011)).not.toBe(id);
  });

  it.each(['', 'rtc_1_short', 'rtc_70000_AAAAAAAAAAAAAAAAAAAAAA', 'sess_1_AAAAAAAAAAAAAAAAAAAAAA', 'rtc_1_AAAAAAAAAAAAAAAAAAAAA!'])(
    '%j is none',
    (text) => {
      expect(sessionNode(text)).toBeUndefined();
    },
  );
});
