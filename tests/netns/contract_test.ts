import { contract } from "./_contract.ts";

contract("netlink");
contract("ip-monitor");
contract("poll");
