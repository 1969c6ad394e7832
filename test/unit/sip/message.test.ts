import { describe, expect, it } from 'vitest';
import { parseMessage, type SipRequest } from '../../../src/sip/embedded/message.ts';
import { parseNameAddress } from '../../../src/sip/embedded/name-address.ts';
import { parseParameters } from '../../../src/sip/embedded/parameters.ts';
import { splitElements } from '../../../src/sip/embedded/text.ts';
import { parseUri } from '../../../src/sip/embedded/uri.ts';
import { parseVia } from '../../../src/sip/embedded/via.ts';
import { cpuMs } from '../../support/cpu-time.ts';

const parse = (lines: string[], body = '') => parseMessage(Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`, 'latin1'));
const parseRequest = (lines: string[], body = ''): SipRequest => {
  const message = parse(['OPTIONS sip:a@b SIP/2.0', ...lines], body);
  if (message?.type !== 'request') throw new Error('not a request');
  return message;
};

describe('a message', () => {
  it('is read line by line, with compact names, blanks and folding', () => {
    const { headers, fault } = parseRequest([
      'v: SIP/2.0/UDP a',
      'VIA \t:  SIP/2.0/UDP b  ',
      'Subject: one',
      ' two',
      '\tthree  ',
      's:',
      'X-Unknown: ;;,,;',
    ]);
    expect(fault).toBeUndefined();
    expect(headers.all('via')).toEqual(['SIP/2.0/UDP a', 'SIP/2.0/UDP b']);
    expect(headers.all('subject')).toEqual(['one two three', '']);
    expect(headers.first('x-unknown')).toBe(';;,,;');
    expect(headers.count('via')).toBe(2);
    expect(headers.first('route')).toBeUndefined();
    expect(headers.size).toBe(5);
  });

  it('gives the elements of a list over all its lines, and none for a broken list', () => {
    const { headers } = parseRequest(['Route: <sip:a,b;lr>, "x, y\\"" <sip:c>', 'Route: <sip:d>', 'Require: a,, b', 'Supported:']);
    expect(headers.elements('route')).toEqual(['<sip:a,b;lr>', '"x, y\\"" <sip:c>', '<sip:d>']);
    expect(headers.elements('require')).toBeUndefined();
    expect(headers.elements('supported')).toEqual([]);
  });

  it('keeps every byte of its values', () => {
    const { headers } = parseRequest([`Subject: ${Buffer.from('naïve à', 'utf8').toString('latin1')}`]);
    expect(Buffer.from(headers.first('subject') ?? '', 'latin1').toString('utf8')).toBe('naïve à');
  });

  it('takes its body by Content-Length, or the rest of the datagram without it', () => {
    expect(Buffer.from(parseRequest(['l: 3'], 'abcdef').body).toString()).toBe('abc');
    expect(Buffer.from(parseRequest([], 'abcdef').body).toString()).toBe('abcdef');
  });

  it('may follow empty lines', () => {
    expect(parseMessage(Buffer.from('\r\n\r\nOPTIONS sip:a@b SIP/2.0\r\nl: 0\r\n\r\n'))).toMatchObject({
      method: 'OPTIONS',
      fault: undefined,
    });
  });

  it('is a response when it starts with the version', () => {
    expect(parse(['SIP/2.0 183 Übung macht den Meister', 'l: 0'])).toMatchObject({ type: 'response', status: 183 });
    expect(parse(['SIP/2.0 100 ', 'l: 0'])).toMatchObject({ status: 100, reason: '' });
    for (const line of ['SIP/2.0 4294967301 better not', 'SIP/2.0 99 low', 'SIP/2.0 700 high', 'SIP/3.0 200 OK', 'SIP/2.0  200 OK']) {
      expect(parse([line])).toBeUndefined();
    }
  });

  it('has a fault that names what is wrong', () => {
    const faults: [string[], number, string?][] = [
      [['INVITE  sip:a@b SIP/2.0'], 400],
      [['INVITE sip:a@b  SIP/2.0'], 400],
      [['INVITE sip:a@b SIP/2.0 '], 400],
      [['INVITE sip:a@b; lr SIP/2.0'], 400],
      [['INVITE <sip:a@b> SIP/2.0'], 400],
      [['INVITE sip:a@b SIP/3.0'], 505],
      [['INVITE sip:a@b SIP/2.0', 'no colon'], 400],
      [['INVITE sip:a@b SIP/2.0', ': no name'], 400],
      [['INVITE sip:a@b SIP/2.0', 'Bad Name: x'], 400],
      [['INVITE sip:a@b SIP/2.0', 'X: a\rb'], 400],
      [['INVITE sip:a@b SIP/2.0', 'l: 1', 'l: 1'], 400],
      [['INVITE sip:a@b SIP/2.0', 'l: -1'], 400],
      [['INVITE sip:a@b SIP/2.0', 'l: 99999999999'], 400],
      [['INVITE sip:a@b SIP/2.0', 'l: 1e0'], 400],
      [['INVITE sip:a@b SIP/2.0', 'l: 7'], 400],
      [['INVITE sip:a@b SIP/2.0', ...Array.from({ length: 101 }, () => 'X: y')], 400],
    ];
    for (const [lines, status] of faults) expect([lines, parse(lines, 'x')?.fault?.status]).toEqual([lines, status]);
    expect(parseMessage(Buffer.from('INVITE sip:a@b SIP/2.0\r\nVia: x'))?.fault?.status).toBe(400);
  });

  it('is nothing when it does not look like SIP', () => {
    for (const text of [
      '',
      '\r\n\r\n',
      'GET / HTTP/1.1',
      'x',
      '\0\0\0\0',
      'INV<ITE sip:a SIP/2.0',
      'SIP/2.0',
      'INVITE SIP/2.0',
      ' INVITE',
    ]) {
      expect(parse([text])).toBeUndefined();
    }
  });

  it('of 60 kB of one kind of character is read in milliseconds, and so is each of its parts', () => {
    for (const filler of [
      ' ',
      ',',
      ';',
      '<',
      '"',
      '\\',
      '(',
      '%',
      '\r\n ',
      'a=',
      ';a=',
      '\t',
      '@',
      ':',
      '[',
      '""',
      '<>',
      '\\"',
      'a ',
      ' ;',
    ]) {
      const junk = filler.repeat(Math.floor(60_000 / filler.length));
      const start = cpuMs();
      parseRequest([`Contact: ${junk}`]).headers.elements('contact');
      parse([`INVITE ${junk} SIP/2.0`]);
      for (const prefix of ['', '"', '<sip:a@b>;', 'sip:a;', 'SIP/2.0/UDP a', 'SIP', '<', 'a=']) {
        const text = prefix + junk;
        parseVia(text);
        parseNameAddress(text);
        parseUri(text);
        parseParameters(text, 0);
        splitElements(text);
      }
      expect([filler, cpuMs() - start < 300]).toEqual([filler, true]);
    }
  });
});
