/**
 * Where things stand in the memory of the ingest module: what `ingest.ts` in this folder with all that it imports, and
 * those beside the folder that drive it (`ingest-wasm.ts`, `ingest-wasm-v2.ts`, `ingest-workspace.ts`,
 * `ingest-memory.ts`), have to agree on. Read by both compilers, so it holds nothing but integers.
 *
 *     0      state: words of 32 bits at the offsets below
 *     256    keys of the hash, random
 *     4096   (static data of the module; there is none)
 *     65536  columns of rows on their way into the batch
 *            of 2.0: the texts and the refs of the labels at hand
 *            of 1.0: the labels at hand, and new series on their way into the dictionary
 *            the body as it came, slack
 *            the body uncompressed, slack
 *            of 2.0: symbols of the request, then metadata of the series
 *            the table: entries, then slots
 */

/** Cursor and end in the uncompressed body, as addresses. */
export const AT = 0;
export const END = 4;
/** How many more top-level fields the request may have; how many samples, those that were taken included. */
export const FIELDS_LEFT = 8;
export const ROWS_LEFT = 12;
/** Samples written so far, of this request; of 2.0, since the driver last counted them. */
export const SAMPLES = 16;
/** Newest time among them: low half, high half. */
export const NEWEST = 24;
/** The series of the row before, and its time (low, high): what the differences in the columns refer to. */
export const LAST_SERIES = 32;
export const LAST_TIME = 40;
/** Rows in the columns, and where the columns of series and time end. */
export const OUT_ROWS = 48;
export const SERIES_END = 52;
export const TIME_END = 56;
/** The series at hand: where its labels start and end, where it ends, its id or -1, how many samples it has. */
export const LABELS_START = 60;
export const LABELS_END = 64;
export const FIELD_END = 68;
export const FOUND = 72;
export const ROWS = 76;
/** Table: address of the entries, address and count - 1 of the slots, entries in use (the first is not one). */
export const ENTRIES = 80;
export const SLOTS = 84;
export const SLOT_MASK = 88;
export const ENTRY_COUNT = 92;
/** Entry of the series before the one at hand; 0 at the start of a request. */
export const LAST_ENTRY = 96;
/** The tenant whose request it is, by its string id in the dictionary; 0 is none. */
export const TENANT = 100;
/** Of a 2.0 request: how many symbols it has, the bytes of the longest, and where its first series is. */
export const SYMBOL_COUNT = 104;
export const LONGEST_SYMBOL = 168;
export const SERIES_AT = 108;
/** Columns of the symbols, as addresses: where each begins and ends, and the entry of its text. Their room. */
export const SYMBOLS = 112;
export const SYMBOL_ENDS = 116;
export const SYMBOL_TEXTS = 120;
export const SYMBOL_ROOM = 124;
/** Metadata that is stored for each series, and for how many there is room: type, help and unit as strings. */
export const METADATA = 128;
export const METADATA_ROOM = 132;
export const METADATA_BYTES = 12;
/** The most refs of a series, and the most bytes of a text of metadata. */
export const MOST_REFS = 136;
export const MOST_TEXT = 140;
/** Entries that the table has room for. */
export const CAPACITY = 144;
/** The 2.0 series at hand: its refs, and where its samples end; metadata as it says. */
export const REF_COUNT = 148;
export const SAMPLES_END = 152;
export const TYPE = 156;
export const HELP = 160;
export const UNIT = 164;

/**
 * Of an unknown series that is being interned: the label that comes next (0 while there is no such series) and how many
 * came before it; the most that it may have, 0 when no series may be interned here.
 */
export const LABEL_AT = 172;
export const LABEL_COUNT = 176;
export const MOST_LABELS = 180;
/** How many labels in the columns of labels are those of the block before. */
export const KNOWN_LABELS = 184;
/** How many names are in order. */
export const ORDERED_COUNT = 188;
/** What the next series will be, and where those end that the dictionary has not taken over yet. */
export const NEXT_SERIES = 192;
export const NEW_END = 196;

export const KEYS = 256;
/** Two keys for each of the 1024 bytes between scrambles, 16 bytes for the scramble of each accumulator. */
export const KEY_BYTES = 2080;

/** Rows that the columns hold, where each column starts, and where the driver lays out the rest. */
export const COLUMN_ROWS = 4096;
/** Up to five bytes a row, and slack. */
export const SERIES_COLUMN = 65536;
/** Up to ten. */
export const TIME_COLUMN = 86032;
/** Eight. */
export const VALUE_COLUMN = 127008;
/** Of the labels of a 2.0 series: an entry for each text; and, when the driver has to know, the refs. */
export const LABEL_TEXTS = 159808;
export const LABEL_REFS = 164032;
/** How many of them there is room for. */
export const REFS = 1024;
/**
 * Of the labels of the series that was interned last, by their order: where each stands, its pair, its name as a string
 * of the dictionary, and the hash of its pair, which has that of the tenant before it.
 */
export const LABEL_PLACES = 168128;
export const LABEL_PAIRS = 169152;
export const LABEL_NAMES = 170176;
export const LABEL_HASHES = 171264;
/** Names that were found in order. */
export const ORDERED_NAMES = 173312;
/** How many of them there is room for, and how many bytes they may have. */
export const LABELS = 256;
export const BLOCK_BYTES = 16384;
/** New series on their way into the dictionary: number of pairs, hash (low, high), pairs. */
export const NEW_SERIES = 174336;
export const NEW_BYTES = 16384;
export const FREE = 190720;

/** Bytes behind each of the two bodies that may be read, and behind the uncompressed one also written. */
export const SLACK = 128;

/**
 * An entry of the table: the 128 bits of the hash of a label block, its length, its series, what came behind it last
 * time, and the tenant of the series.
 *
 * Of 2.0 there are two more kinds, which add something to the tenant. One is of a text that a symbol had: in place of
 * the series it has the string of the dictionary, plus one, if that is known; tenants share them. The other is of the
 * labels of a series, and its block is the entries of their texts.
 *
 * Of 1.0 there is one more: of a label as it is written, with its pair in place of the series, and its name, as a string
 * of the dictionary, in place of what came behind it. The entry behind that is not in the slots: it begins with the hash
 * of the pair.
 */
export const ENTRY_BYTES = 32;
export const ENTRY_LENGTH = 16;
export const ENTRY_SERIES = 20;
export const ENTRY_NEXT = 24;
export const ENTRY_TENANT = 28;

export const OF_TEXT = 0x40000000;
export const OF_REFS = 0x20000000;
export const OF_PAIR = 0x60000000;
export const OF_NONE = 0x7fffffff;

/** What `run` and `runV2` return. */
export const DONE = 0;
/** The columns are full, or as good as: to be taken over, then on with the same series. */
export const FULL = 1;
/** An unknown series with plain samples: to be interned, then `take` or `skip`. */
export const UNKNOWN = 2;
/** The field at `AT` is none that this module reads; for a series `LABELS_END` and `FOUND` are set. */
export const ODD = 3;
/** There is no room in the table for what the series at hand may bring; to be tried again. */
export const ROOM = 4;
/** Of 2.0: the metadata of the known series is not what is stored; to be stored, then `takeV2`. */
export const SAID = 5;
/** Of 1.0: the label at `LABEL_AT` is not in the table. To be interned, then `learnPair` and on. */
export const NEW_LABEL = 6;
