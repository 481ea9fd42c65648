/**
 * What PowerShell is told to do: two constant scripts, passed as `-EncodedCommand`. Nothing of a caller's is in them.
 *
 * They use .NET's own list of interfaces, which is that of IP Helper and has the same numbers, and the cmdlets
 * Find-NetRoute and Get-NetNeighbor (Windows 8 and later). Both run in Windows PowerShell 5.1, which is part of Windows.
 */

import { PROBE } from "./_reading.ts";

/** The first lines of both: errors end the script, and what is printed is UTF-8 without a mark. */
const HEAD = `
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
[Console]::OutputEncoding = New-Object System.Text.UTF8Encoding $false
$net = [System.Net.NetworkInformation.NetworkInterface]
`;

/** Prints one line of JSON that says all. */
const READ = `${HEAD}
function Seconds($value) { if ($value -ge 4294967295) { 4294967295 } else { [long]$value } }
$interfaces = @(foreach ($one in $net::GetAllNetworkInterfaces()) {
  $ip = $one.GetIPProperties()
  $index = 0; $mtu = -1
  try { $four = $ip.GetIPv4Properties(); $index = $four.Index; $mtu = $four.Mtu } catch { }
  if (-not $index) { try { $six = $ip.GetIPv6Properties(); $index = $six.Index; $mtu = $six.Mtu } catch { } }
  @{
    index = [long]$index; name = $one.Name; description = $one.Description; mtu = [long]$mtu
    type = [int]$one.NetworkInterfaceType; status = [int]$one.OperationalStatus
    mac = $one.GetPhysicalAddress().ToString(); suffix = $ip.DnsSuffix
    dns = @($ip.DnsAddresses | ForEach-Object { $_.ToString() })
    addresses = @($ip.UnicastAddresses | ForEach-Object { @{
      address = $_.Address.ToString(); prefix = [int]$_.PrefixLength
      dad = [int]$_.DuplicateAddressDetectionState; suffix = [int]$_.SuffixOrigin
      preferred = Seconds $_.AddressPreferredLifetime; valid = Seconds $_.AddressValidLifetime } })
  }
})
$neighbours = @()
$routes = @(foreach ($to in '${PROBE.v4}', '${PROBE.v6}') {
  $found = @(Find-NetRoute -RemoteIPAddress $to -ErrorAction SilentlyContinue)
  $route = $found | Where-Object { $_.NextHop } | Select-Object -First 1
  $source = $found | Where-Object { $_.IPAddress } | Select-Object -First 1
  if (-not $route) { continue }
  @{
    to = $to; index = [long]$route.InterfaceIndex; nextHop = [string]$route.NextHop
    metric = [long]$route.RouteMetric + [long]$route.InterfaceMetric; source = [string]$source.IPAddress
  }
  $neighbours += @(Get-NetNeighbor -InterfaceIndex $route.InterfaceIndex -IPAddress $route.NextHop -ErrorAction SilentlyContinue |
    ForEach-Object { @{
      index = [long]$_.InterfaceIndex; address = [string]$_.IPAddress
      mac = [string]$_.LinkLayerAddress; state = [string]$_.State } })
})
[Console]::Out.WriteLine((ConvertTo-Json -Compress -Depth 5 @{ interfaces = $interfaces; routes = $routes; neighbours = $neighbours }))
`;

/**
 * Prints "ready", then "change" for each event of .NET's NetworkChange, and for what that does not tell: gateways and
 * name servers, compared every five seconds. Each round prints something, so that it ends when nobody reads any more.
 */
const WATCH = `${HEAD}
$change = [System.Net.NetworkInformation.NetworkChange]
Register-ObjectEvent -InputObject $change -EventName NetworkAddressChanged -SourceIdentifier HoldfastAddress
Register-ObjectEvent -InputObject $change -EventName NetworkAvailabilityChanged -SourceIdentifier HoldfastAvailability
function Rest {
  @(foreach ($one in $net::GetAllNetworkInterfaces()) {
    $ip = $one.GetIPProperties()
    $one.Id; [int]$one.OperationalStatus; $ip.DnsSuffix
    $ip.GatewayAddresses | ForEach-Object { $_.Address.ToString() }
    $ip.DnsAddresses | ForEach-Object { $_.ToString() }
  }) -join ' '
}
$before = Rest
[Console]::Out.WriteLine('ready')
while ($true) {
  $event = Wait-Event -Timeout 5
  $now = Rest
  if ($event -or $now -ne $before) {
    Get-Event | Remove-Event
    $before = $now
    [Console]::Out.WriteLine('change')
  } else { [Console]::Out.WriteLine('same') }
}
`;

function argsFor(script: string): readonly string[] {
  const wide = new Uint8Array(script.length * 2);
  const view = new DataView(wide.buffer);
  for (let i = 0; i < script.length; i++) view.setUint16(2 * i, script.charCodeAt(i), true);
  // -EncodedCommand takes UTF-16LE in base64, and so needs no quoting of any kind.
  return ["-NoLogo", "-NoProfile", "-NonInteractive", "-EncodedCommand", wide.toBase64()];
}

/** The arguments that make it print one reading. */
export function readArgs(): readonly string[] {
  return argsFor(READ);
}

/** The arguments that make it tell of changes. */
export function watchArgs(): readonly string[] {
  return argsFor(WATCH);
}
