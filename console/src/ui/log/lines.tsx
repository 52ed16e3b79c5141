// The lines of a log, drawn as they scroll by. Unwrapped lines are all of one height, so that half a million cost nothing.
import { useVirtualizer } from '@tanstack/react-virtual';
import { memo, type ReactNode, useLayoutEffect, useMemo, useRef, useState } from 'react';
import { useFormat } from '../../i18n/use-format';
import { type LogLine, severity, spansOf } from '../../lib/log-lines';
import classes from './log.module.css';

const LINE_PX = 18;
const OVERSCAN = 20;
/** Wrapped lines are measured one by one: fewer are shown. */
const WRAPPED_MAX = 20_000;
const SOURCE_COLORS = ['cyan', 'magenta', 'green', 'blue', 'yellow', 'red'] as const;

export interface LogLinesProps {
  label: string;
  lines: readonly LogLine[];
  revision: number;
  /** What each source is called; an empty name is not shown. */
  names: readonly string[];
  filter: string;
  isRegex: boolean;
  showTimes: boolean;
  wrap: boolean;
  follow: boolean;
  setFollow: (follow: boolean) => void;
  height: string;
  empty: ReactNode;
}

export function LogLinesView(props: LogLinesProps) {
  return props.wrap ? <Wrapped {...props} /> : <Straight {...props} />;
}

function Straight(props: LogLinesProps) {
  const { lines, follow } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  useFollow(scroller, props);
  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setHeight(element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const total = lines.length * LINE_PX;
  const from = follow ? Math.max(0, total - height) : Math.min(top, Math.max(0, total - height));
  const first = Math.max(0, Math.floor(from / LINE_PX) - OVERSCAN);
  const last = Math.min(lines.length, Math.ceil((from + height) / LINE_PX) + OVERSCAN);
  // The widest line seen so far keeps the width, so that scrolling down does not make the page jump sideways.
  return (
    <Scroller {...props} ref={scroller} onTop={setTop}>
      <div style={{ height: Math.max(total, 1), position: 'relative', minWidth: '100%' }}>
        {lines.slice(first, last).map((line, index) => (
          <Line key={line.id} line={line} top={(first + index) * LINE_PX} {...lineProps(props)} />
        ))}
      </div>
    </Scroller>
  );
}

function Wrapped(props: LogLinesProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const lines = useMemo(() => props.lines.slice(-WRAPPED_MAX), [props.lines]);
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => LINE_PX,
    overscan: OVERSCAN,
    getItemKey: (index) => lines[index]?.id ?? index,
  });
  const total = virtual.getTotalSize();
  useFollow(scroller, { ...props, revision: props.revision + total });
  return (
    <Scroller {...props} ref={scroller} onTop={() => {}}>
      <div style={{ height: Math.max(total, 1), position: 'relative' }}>
        {virtual.getVirtualItems().map((item) => {
          const line = lines[item.index];
          if (line === undefined) return null;
          return (
            <Line
              key={item.key}
              line={line}
              top={item.start}
              measure={virtual.measureElement}
              index={item.index}
              {...lineProps(props)}
            />
          );
        })}
      </div>
    </Scroller>
  );
}

/** Stays at the end while followed. */
function useFollow(scroller: React.RefObject<HTMLDivElement | null>, props: LogLinesProps): void {
  const { follow, revision, lines, wrap, showTimes } = props;
  useLayoutEffect(() => {
    void [revision, lines, wrap, showTimes];
    const element = scroller.current;
    if (follow && element !== null) element.scrollTop = element.scrollHeight;
  }, [scroller, follow, revision, lines, wrap, showTimes]);
}

function Scroller(
  props: LogLinesProps & {
    ref: React.RefObject<HTMLDivElement | null>;
    onTop: (top: number) => void;
    children: ReactNode;
  },
) {
  const { follow, setFollow } = props;
  return (
    <div
      ref={props.ref}
      className={classes.scroller}
      style={{ height: props.height }}
      role="log"
      aria-label={props.label}
      aria-live="off"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls by keys
      tabIndex={0}
      onWheel={(event) => {
        if (follow && event.deltaY < 0) setFollow(false);
      }}
      onKeyDown={(event) => {
        if (follow && ['ArrowUp', 'PageUp', 'Home'].includes(event.key)) setFollow(false);
        if (!follow && event.key === 'End') setFollow(true);
      }}
      onScroll={(event) => {
        const element = event.currentTarget;
        props.onTop(element.scrollTop);
        // The scroll bar was pulled away from the end.
        if (follow && element.scrollHeight - element.scrollTop - element.clientHeight > 40 * LINE_PX) setFollow(false);
      }}
    >
      {props.lines.length === 0 ? props.empty : props.children}
    </div>
  );
}

function lineProps(props: LogLinesProps) {
  const { names, filter, isRegex, showTimes, wrap } = props;
  return { names, filter, isRegex, showTimes, wrap };
}

const Line = memo(
  function Line(props: {
    line: LogLine;
    top: number;
    names: readonly string[];
    filter: string;
    isRegex: boolean;
    showTimes: boolean;
    wrap: boolean;
    measure?: (element: HTMLElement | null) => void;
    index?: number;
  }) {
    const { line } = props;
    const format = useFormat();
    const name = props.names[line.source] ?? '';
    return (
      <div
        ref={props.measure}
        data-index={props.index}
        className={props.wrap ? `${classes.line} ${classes.wrapped}` : classes.line}
        data-severity={severity(line.text)}
        style={{ transform: `translateY(${props.top}px)` }}
      >
        {props.showTimes && (
          <span className={classes.time} title={`${format.dateTime(line.at)} (${format.zone})`}>
            {format.time(line.at)}.{String(Math.floor(line.at) % 1000).padStart(3, '0')}
          </span>
        )}
        {name !== '' && (
          <span className={`${classes.source} ${classes[SOURCE_COLORS[line.source % SOURCE_COLORS.length] ?? 'cyan']}`}>
            {name}
          </span>
        )}
        {spansOf(line.text, props.filter, props.isRegex).map((span, index) =>
          span.styles.length === 0 ? (
            span.text
          ) : (
            // biome-ignore lint/suspicious/noArrayIndexKey: spans of a line never move
            <span key={index} className={span.styles.map((style) => classes[style] ?? '').join(' ')}>
              {span.text}
            </span>
          ),
        )}
      </div>
    );
  },
  (before, after) =>
    before.line === after.line &&
    before.top === after.top &&
    before.filter === after.filter &&
    before.isRegex === after.isRegex &&
    before.showTimes === after.showTimes &&
    before.wrap === after.wrap &&
    before.names[before.line.source] === after.names[after.line.source],
);
