-- wrk's side of `make bench`: sends the bodies of a file in order, from an offset on; `@@` in one is a serial number.
-- Its arguments are the method, the bearer token, the file, the offset, and how many threads there are, each of which
-- takes turns in the bodies. The answers are kept beside the file, where it is looked at later whether they are right.

local bodies = {}
local step, asked, answers
position = 0 -- globals, or `setup` and `done`, which run in a state of their own, could not reach them
number = 0
local threads = {}

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

function init(arguments)
  wrk.method = arguments[1]
  wrk.headers["Authorization"] = "Bearer " .. arguments[2]
  wrk.headers["Content-Type"] = "application/json"
  for line in io.lines(arguments[3]) do
    table.insert(bodies, line)
  end
  position = tonumber(arguments[4]) + number
  step = tonumber(arguments[5])
  answers = io.open(arguments[3] .. ".answers-" .. number, "wb")
end

function request()
  asked = position
  position = position + step
  local body = bodies[asked % #bodies + 1]:gsub("@@", asked)
  return wrk.format(nil, nil, nil, body)
end

function response(status, headers, body)
  answers:write(asked, " ", #body, "\n", body)
end

function done(summary, latency, requests)
  local errors, furthest = summary.errors, 0
  for _, thread in ipairs(threads) do
    furthest = math.max(furthest, thread:get("position"))
  end
  io.write(string.format(
    '\n{"requests": %d, "microseconds": %d, "refused": %d, "broken": %d, "position": %d}\n',
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout, furthest
  ))
end
