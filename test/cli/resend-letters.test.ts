import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openSource } from '../../src/cli/dead-letter-source.ts';
import { resendLetters } from '../../src/cli/resend-letters.ts';
import { parseConfig } from '../../src/config/load.ts';
import { Ledger } from '../../src/ledger/ledger.ts';
import { PARTIAL } from '../../src/network/dead-letter.ts';
import { letterObject, letterText } from '../../src/status/letter-text.ts';
import { atEnd } from '../support/cleanup.ts';
import { refusal, sampleLetter } from '../support/letters.ts';
import { Sink } from '../support/sink.ts';
import { tempDir } from '../support/temp.ts';

test('what is refused while letters are sent again waits for the next time', async (t) => {
  const dir = await tempDir(t, 'letters');
  const ledger = Ledger.open(dir, Date.now(), () => assert.fail('it is whole'));
  atEnd(t, () => ledger.close());
  let row = 0;
  const keep = (atMs: number): void => {
    const letter = sampleLetter(row, { __name__: 'up' }, 1_700_000_000_000 + row);
    ledger.deadLetters.keep('a', refusal([letter], { atMs }));
    row++;
  };
  for (let i = 0; i < 1500; i++) keep(Date.now() - 1000);
  // As an agent would whose endpoint refuses all that comes: each request brings another letter.
  const sink = await Sink.start(t, () => {
    if (row < 3000) keep(Date.now() + 1000);
    return {};
  });
  const text = JSON.stringify({
    data_dir: dir,
    remote_write: [{ name: 'a', url: sink.url, queue_config: { max_samples_per_send: 100 } }],
  });
  const config = parseConfig(text, { file: 'test', baseDir: dir });
  const source = openSource({ config, url: undefined, httpConfig: undefined, warn: assert.fail });
  atEnd(t, () => source.close());
  const done = await resendLetters(source, {}, config.remoteWrite[0]!, false);
  assert.deepEqual(done, { resent: 1500, refused: 0, left: 0, unknown: 0, stopped: undefined });
  assert.equal(sink.requests.length, 15);
  assert.equal(ledger.deadLetters.totals()[0]?.letters, 15);
});

test('RLY-12: a letter that stands for rows of which only the number is known is shown, and is not sent', async (t) => {
  const dir = await tempDir(t, 'letters');
  const ledger = Ledger.open(dir, Date.now(), () => assert.fail('it is whole'));
  atEnd(t, () => ledger.close());
  const content = Buffer.from('{"sent":{"samples":10,"histograms":2},"notWritten":{"samples":3}}');
  const letters = [
    { segment: 1, row: 0, kind: PARTIAL, timeMs: 5, tenant: '', labels: new Uint8Array(), content },
    sampleLetter(1, { __name__: 'up' }, 1_700_000_000_000),
  ];
  ledger.deadLetters.keep('a', refusal(letters));
  const sink = await Sink.start(t);
  const text = JSON.stringify({ data_dir: dir, remote_write: [{ name: 'a', url: sink.url }] });
  const config = parseConfig(text, { file: 'test', baseDir: dir });
  const source = openSource({ config, url: undefined, httpConfig: undefined, warn: assert.fail });
  atEnd(t, () => source.close());
  const done = await resendLetters(source, {}, config.remoteWrite[0]!, false);
  assert.deepEqual(done, { resent: 1, refused: 0, left: 1, unknown: 1, stopped: undefined });
  assert.equal(sink.arrivals.count, 1);

  const [left] = ledger.deadLetters.page({}, 'arrival', undefined, 10);
  assert.equal(letterText(left!), '3 of 10 samples of a request were not written, it is not known which');
  const { kind, notWritten, words } = letterObject(left!) as Record<string, unknown>;
  assert.deepEqual([kind, notWritten, words], ['partial_write', { samples: 3 }, 'out of bounds']);
});
