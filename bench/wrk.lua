-- wrk's side of `make bench`: sends the bodies of a file in order, from an offset on; `@@` in one is a serial number.
-- Its arguments are the method, the bearer token, the file and the offset.

local bodies = {}
position = 0 -- a global, or `done`, which runs in a state of its own, could not ask for it
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(arguments)
  wrk.method = arguments[1]
  wrk.headers["Authorization"] = "Bearer " .. arguments[2]
  wrk.headers["Content-Type"] = "application/json"
  for line in io.lines(arguments[3]) do
    table.insert(bodies, line)
  end
  position = tonumber(arguments[4])
end

function request()
  local body = bodies[position % #bodies + 1]:gsub("@@", position)
  position = position + 1
  return wrk.format(nil, nil, nil, body)
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "microseconds": %d, "refused": %d, "broken": %d, "position": %d}\n',
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout, threads[1]:get("position")
  ))
end
